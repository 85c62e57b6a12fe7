/**
 * Lets a frozen wallet be written to again. Where its books still do not hold, the next round of the self-audit freezes it
 * anew: what was wrong has to be put right first.
 *
 * Refusals: InvalidInput, NotFound, Conflict (the wallet is not frozen). Throws Forbidden.
 */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type Conflict, type InvalidInput, invalidInput, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import { formatInstant } from '../domain/time/instant.ts';
import { lockWallet, setFrozen } from '../persistence/freezes.ts';
import { checkAgain } from '../persistence/wallet-checks.ts';
import { audit } from './audit.ts';
import { tenantFor } from './authorize.ts';
import { MAX_REASON_CHARACTERS } from './grant-credits.ts';
import { checkText } from './input-rules.ts';
import type { Services } from './services.ts';

export interface UnfreezeWalletInput {
  readonly organizationId: string;
  /** Why, for the audit trail. */
  readonly reason: string;
}

export async function unfreezeWallet(
  services: Services,
  caller: SignedInCaller,
  { organizationId: meant, reason }: UnfreezeWalletInput,
): Promise<{ readonly organizationId: string } | InvalidInput | NotFound | Conflict> {
  const problem =
    reason.trim() === ''
      ? invalidInput(['reason'], 'must not be empty')
      : checkText(['reason'], reason, MAX_REASON_CHARACTERS);
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'operate', meant);
  if (isRefusal(tenant)) return tenant;
  const { organizationId, walletId } = tenant;
  return services.sql.begin(async (tx): Promise<{ readonly organizationId: string } | NotFound | Conflict> => {
    const wallet = await lockWallet(tx, walletId);
    if (!wallet) return notFound('organization');
    if (wallet.frozenAt === null) {
      return { code: 'CONFLICT', reason: 'the wallet is not frozen', currentState: 'NOT_FROZEN' };
    }
    await setFrozen(tx, walletId, null);
    await checkAgain(tx, walletId);
    await audit(services, tx, caller, {
      organizationId,
      action: 'unfreezeWallet',
      before: { frozenAt: formatInstant(wallet.frozenAt) },
      after: { frozenAt: null, reason },
    });
    return { organizationId };
  });
}
