/**
 * Follows the rows of one wallet: first those after the cursor, then each new one, in order and once. The wake-up is
 * registered before the first look, so that nothing falls between; a poll backs up lost signals and posts transitions
 * that have come due, so that a watched wallet changes on time.
 */

import { may, type Tenant } from '../../domain/identity/caller.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import { walletState } from '../../persistence/live-rows.ts';
import type { GraphQLContext } from '../context.ts';
import { forbidden, unauthenticated } from '../errors.ts';

const PAGE = 500;
const POLL_MILLISECONDS = 1_000;

export interface Followed<Row> {
  readonly tenant: Tenant;
  /** Rows after this number. */
  readonly after: bigint;
  readonly numberOf: (row: Row) => bigint;
  readonly load: (after: bigint, limit: number) => Promise<readonly Row[]>;
}

export async function* follow<Row>(
  context: GraphQLContext,
  { tenant, after, numberOf, load }: Followed<Row>,
): AsyncGenerator<Row> {
  const { signals, services, shutdown } = context;
  const bell = new Bell();
  const ring = () => bell.ring();
  const unsubscribe = signals.subscribe(tenant.walletId, ring);
  shutdown.addEventListener('abort', ring);
  try {
    for (let cursor = after; !shutdown.aborted; ) {
      await checkStillAllowed(context, tenant);
      const rows = await load(cursor, PAGE);
      for (const row of rows) {
        cursor = numberOf(row);
        yield row;
      }
      if (rows.length === PAGE) continue;
      const rang = await bell.wait(POLL_MILLISECONDS);
      if (!rang && (await walletState(services.sql, tenant.walletId)).due) {
        await settleWallets(services, [tenant.organizationId]);
      }
    }
  } finally {
    unsubscribe();
    shutdown.removeEventListener('abort', ring);
  }
}

/** A stream ends with its credential: before its next event, and within a poll where nothing happens. */
async function checkStillAllowed(context: GraphQLContext, { organizationId }: Tenant): Promise<void> {
  context.caller = await context.reauthenticate();
  const { caller } = context;
  if (caller.kind === 'ANONYMOUS') throw unauthenticated();
  if (!may(caller, 'billing:read', organizationId)) throw forbidden();
}

/** Remembers that it rang while nobody was waiting. */
class Bell {
  #rang = false;
  #awake: (() => void) | null = null;

  ring(): void {
    this.#rang = true;
    this.#awake?.();
  }

  /** True where it rang within the time or since the last wait. */
  async wait(milliseconds: number): Promise<boolean> {
    if (!this.#rang) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        this.#awake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const rang = this.#rang;
    this.#rang = false;
    this.#awake = null;
    return rang;
  }
}
