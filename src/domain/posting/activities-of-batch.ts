/** What a batch of postings tells people. Of charges nothing: they are told in groups. */

import { type ActivityKind, type NewActivity, NO_WORK, type Work } from '../activity/activity.ts';
import { activityOfAudit } from '../activity/activity-of-audit.ts';
import { describeSubscription } from '../activity/subscription-words.ts';
import { because, creditsOf, inLine, ofWork } from '../activity/words.ts';
import { systemActor } from '../actor.ts';
import { type Micros, plus, sum, ZERO } from '../credits/micros.ts';
import { formatMoney } from '../money/format-money.ts';
import type { PurchaseStatus } from '../purchases/purchase.ts';
import type { SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import type { DraftPurchase } from './decide-purchase.ts';
import type { Happening } from './happenings.ts';
import type { PostedAudit, PostedTransaction } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

export interface ToldBatch {
  readonly books: readonly WalletBook[];
  readonly audits: readonly PostedAudit[];
  readonly policies: Pick<SubscriptionPolicies, 'plansEverSold'>;
}

/** What tells of a wallet, in the order of telling. */
const SOURCES: readonly ((book: WalletBook, told: ToldBatch) => readonly NewActivity[])[] = [
  ofHappenings,
  ofSuspension,
  ofAlerts,
];

export function activitiesOf(told: ToldBatch): readonly NewActivity[] {
  const { books, audits } = told;
  const ofBooks = books.flatMap((book) => SOURCES.flatMap((source) => source(book, told)));
  const ofAudits = audits.flatMap(({ action, before, after, organizationId, actor, occurredAt }) => {
    const activity = activityOfAudit({ action, before, after });
    return activity ? [{ ...activity, organizationId, actor, occurredAt, credits: null, work: NO_WORK }] : [];
  });
  // What somebody did comes before what came of it.
  return [...ofAudits, ...ofBooks];
}

/** What a happening says; who, when and where is added to it. */
interface Told {
  readonly kind: ActivityKind;
  readonly summary: string;
  readonly credits?: Micros | null;
  readonly work?: Work;
}

function ofHappenings(book: WalletBook, { policies }: ToldBatch): readonly NewActivity[] {
  const { organizationId } = book.snapshot;
  return book.happenings.flatMap((happening) => {
    const told = tell(book, happening, policies);
    if (told === null) return [];
    const { kind, summary, credits = null, work = NO_WORK } = told;
    return [{ organizationId, kind, summary, credits, work, actor: happening.actor, occurredAt: happening.at }];
  });
}

function tell(book: WalletBook, happening: Happening, { plansEverSold }: ToldBatch['policies']): Told | null {
  switch (happening.kind) {
    case 'transaction':
      return tellTransaction(happening.transaction);
    case 'hold-made': {
      const { amount, attribution: work } = happening.facts;
      return { kind: 'HOLD', summary: `Held ${creditsOf(amount)}${forWork(work)}`, work };
    }
    case 'hold-ended': {
      const { facts, status, rest } = happening;
      const { attribution: work } = facts;
      const ended = status === 'RELEASED' ? `Released a hold${ofWork(work)}` : `A hold${ofWork(work)} lapsed`;
      return { kind: 'HOLD', summary: `${ended}: ${creditsOf(rest)} can be spent again`, work };
    }
    case 'subscription': {
      const planName = (key: string) => inLine(plansEverSold.get(key)?.name ?? key);
      const summary = describeSubscription(happening, planName);
      return summary === null ? null : { kind: 'PLAN', summary };
    }
    case 'purchase':
      return tellPurchase(book, happening.purchase, happening.status);
    case 'refund-begun':
      return { kind: 'PURCHASE', summary: `The refund of ${nameOf(happening.purchase)} was begun` };
    case 'refund-declined':
      return { kind: 'PURCHASE', summary: `The refund of ${nameOf(happening.purchase)} was declined` };
    default: {
      const never: never = happening;
      throw new Error(`unknown happening ${JSON.stringify(never)}`);
    }
  }
}

/** " for task crawl-7" */
const forWork = (work: Work): string => ofWork(work).replace(' of ', ' for ');

function tellTransaction({
  kind,
  reasonCode,
  amount,
  description,
  attribution,
  purchaseId,
}: PostedTransaction): Told | null {
  const credits = creditsOf(amount);
  switch (kind) {
    case 'REFUND': {
      const summary = `Refunded ${credits}${ofWork(attribution)}${because(description)}`;
      return { kind: 'REFUND', summary, credits: amount, work: attribution };
    }
    case 'GRANT': {
      // What a plan gives is told with the plan, and refreshes by itself.
      if (reasonCode === 'PLAN_GRANT' || reasonCode === 'ALLOWANCE') return null;
      const verb = reasonCode === 'PROMOTION' ? 'Redeemed' : 'Granted';
      return { kind: 'ADJUSTMENT', summary: `${verb} ${credits}${because(description)}`, credits: amount };
    }
    case 'ADJUSTMENT': {
      const verb = amount < ZERO ? 'Took away' : 'Added';
      return { kind: 'ADJUSTMENT', summary: `${verb} ${credits}${because(description)}`, credits: amount };
    }
    case 'REVERSAL':
      // What a purchase takes back is told with the purchase.
      return purchaseId === null
        ? { kind: 'ADJUSTMENT', summary: `Revoked a grant: ${credits}${because(description)}`, credits: amount }
        : null;
    default:
      return null;
  }
}

/** "Growth: 5500 credits (45.00 USD)" */
const nameOf = ({ facts }: DraftPurchase): string => `${inLine(facts.description)} (${formatMoney(facts.price)})`;

function tellPurchase(book: WalletBook, purchase: DraftPurchase, status: PurchaseStatus): Told | null {
  const name = nameOf(purchase);
  const told = (summary: string, credits: Micros | null = null): Told => ({ kind: 'PURCHASE', summary, credits });
  switch (status) {
    case 'PENDING':
      return null;
    case 'PAID': {
      const { credits, bonus } = purchase.facts;
      // A dispute that was won gives nothing that was not there before.
      if (purchase.facts.status === 'DISPUTED') return told(`The dispute about ${name} was won`);
      const bought = plus(credits, bonus);
      return told(`Bought ${name}`, bought === ZERO ? null : bought);
    }
    case 'FAILED':
      return told(`The payment for ${name} failed`);
    case 'EXPIRED':
      return told(`The checkout for ${name} expired`);
    case 'DISPUTED':
      return told(`The payment for ${name} is disputed: what is left of its credits is frozen`);
    case 'REFUNDED':
      return told(`The payment for ${name} was given back`, takenBack(book, purchase));
    default: {
      const never: never = status;
      throw new Error(`unknown status ${never}`);
    }
  }
}

/** What was taken back of a purchase; null where nothing was. */
function takenBack({ transactions }: WalletBook, { facts }: DraftPurchase): Micros | null {
  const reversals = transactions.filter(({ kind, purchaseId }) => kind === 'REVERSAL' && purchaseId === facts.id);
  return reversals.length === 0 ? null : sum(reversals.map(({ amount }) => amount));
}

/** Less than a threshold can be spent, or enough again. */
function ofAlerts({ snapshot, alerts }: WalletBook): readonly NewActivity[] {
  return alerts.events.map(({ transition, threshold, totalAvailable, occurredAt }) => {
    const said =
      transition === 'TRIGGERED'
        ? `Less than ${creditsOf(threshold)} can be spent`
        : `The alert at ${creditsOf(threshold)} is over, enough can be spent again`;
    const summary = `${said}: ${creditsOf(totalAvailable)}`;
    const actor = systemActor('purser');
    const of = { organizationId: snapshot.organizationId, kind: 'ALERT' as const, actor, work: NO_WORK };
    return { ...of, summary, credits: null, occurredAt };
  });
}

/** Top-ups by themselves stop until somebody configures them anew. */
function ofSuspension({ snapshot, autoTopUp, now }: WalletBook): readonly NewActivity[] {
  const reason = autoTopUp?.suspendedReason ?? null;
  if (reason === null || reason === snapshot.autoTopUp?.suspendedReason) return [];
  return [
    {
      organizationId: snapshot.organizationId,
      kind: 'SETTINGS',
      summary: `Top-ups by themselves are suspended${because(reason)}`,
      credits: null,
      actor: systemActor('purser'),
      work: NO_WORK,
      occurredAt: now,
    },
  ];
}
