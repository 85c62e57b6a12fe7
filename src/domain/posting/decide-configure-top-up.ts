/**
 * Configuring the top-ups that begin by themselves. What is left out stays as it was. Enabling clears declines and a
 * suspension, and wants one at once where less than the threshold is left.
 */

import type { JsonObject } from '../canonical.ts';
import { formatCredits } from '../credits/micros.ts';
import { formatMoney } from '../money/format-money.ts';
import type { Money } from '../money/money.ts';
import { type InvalidInput, invalidInput, type NotFound } from '../plain-refusals.ts';
import { type AutoTopUp, type AutoTopUpSettings, IDLE, isArmed, want } from '../purchases/auto-top-up.ts';
import { topUpOffer } from '../purchases/auto-top-up-offer.ts';
import { isRefusal } from '../refusals.ts';
import type { TopUpPolicies } from './collect-top-up.ts';
import type { ConfigureAutoTopUpCommand } from './commands.ts';
import { type Outcome, refused } from './outcomes.ts';
import type { WalletBook } from './wallet-book.ts';

/** The ceiling of a month where none is given: this many top-ups. */
const CEILING_OF_TOP_UPS = 10n;
/** The most that every client can read. */
const MAX_CEILING_MINOR = BigInt(Number.MAX_SAFE_INTEGER);

/** On a frozen wallet too: nothing is posted by it, and nothing begins. */
export function decideConfigureAutoTopUp(
  book: WalletBook,
  command: ConfigureAutoTopUpCommand,
  policies: TopUpPolicies,
): Outcome {
  const settings = settingsOf(book, command, policies);
  if (isRefusal(settings)) return refused(settings, book.available);
  book.autoTopUp = configured(book, settings);
  return { status: 'auto-top-up-configured' };
}

function configured(book: WalletBook, settings: AutoTopUpSettings): AutoTopUp {
  const before = book.autoTopUp ?? { ...settings, ...IDLE };
  if (!settings.enabled) return { ...before, ...settings, wantedAt: null, ceilingUntil: null };
  const { wantedAt, purchaseId } = before;
  const after = { ...before, ...settings, ...IDLE, wantedAt, purchaseId };
  return isArmed(after) && book.available < after.threshold ? want(after, book.now) : after;
}

function settingsOf(
  { autoTopUp: before, subscription }: WalletBook,
  command: ConfigureAutoTopUpCommand,
  { topUpSales }: TopUpPolicies,
): AutoTopUpSettings | NotFound | InvalidInput {
  const { enabled } = command;
  const choice = command.choice ?? before?.choice;
  if (!choice) return invalidInput(['packageId'], 'is required, or credits');
  const threshold = command.threshold ?? before?.threshold;
  if (threshold === undefined) return invalidInput(['threshold'], 'is required');
  const offer = topUpOffer(choice, subscription, topUpSales);
  const earlier = before?.ceiling ?? null;
  if (isRefusal(offer)) {
    // What is switched off need not be on sale.
    if (enabled || command.choice || !earlier) return offer;
    const amountMinor = command.monthlyCeilingMinor ?? earlier.amountMinor;
    return { enabled, threshold, choice, ceiling: { ...earlier, amountMinor } };
  }
  const ceiling = ceilingOf(command, earlier, offer.price);
  return isRefusal(ceiling) ? ceiling : { enabled, threshold, choice, ceiling };
}

function ceilingOf(
  { monthlyCeilingMinor }: ConfigureAutoTopUpCommand,
  earlier: Money | null,
  { amountMinor: price, currency }: Money,
): Money | InvalidInput {
  const kept = earlier?.currency === currency ? earlier.amountMinor : null;
  const first = price * CEILING_OF_TOP_UPS;
  const amountMinor = monthlyCeilingMinor ?? kept ?? (first > MAX_CEILING_MINOR ? MAX_CEILING_MINOR : first);
  if (amountMinor >= price) return { amountMinor, currency };
  const least = formatMoney({ amountMinor: price, currency });
  return invalidInput(['monthlyCeilingMinor'], `must be at least ${price}: one top-up costs ${least}`);
}

/** The settings as the audit trail keeps them. */
export function describeSettings({ enabled, threshold, choice, ceiling }: AutoTopUpSettings): JsonObject {
  return {
    enabled,
    threshold: formatCredits(threshold),
    ...(choice.packageKey === null ? { credits: formatCredits(choice.credits) } : { packageKey: choice.packageKey }),
    monthlyCeiling: formatMoney(ceiling),
  };
}
