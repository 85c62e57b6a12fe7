/** Explanations: how a charge was priced, which lots it was taken from and why, and which limits it met. */

import type { GraphQLResolveInfo } from 'graphql';
import { formatCredits, type Micros, ZERO } from '../../domain/credits/micros.ts';
import { type Caller, mayOnWallet } from '../../domain/identity/caller.ts';
import type { CheckedLimit } from '../../domain/limits/spend-limit.ts';
import type { PricedLine } from '../../domain/pricing/price.ts';
import type { Explanation } from '../../domain/refusals.ts';
import type { Bucket, Lot } from '../../generated/prisma/client.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { inOrder } from '../loading/request-loaders.ts';
import { loadRow } from '../loading/rows.ts';
import { LotRef } from './lot.ts';
import { UsageLineRef } from './usage.ts';

interface ExplainedLot {
  readonly lotId: string;
  readonly taken: Micros;
  /** What could be spent of it, for a refusal. */
  readonly available: Micros | null;
}

export interface Explained {
  readonly rateCardVersion: number | null;
  readonly lines: readonly PricedLine[];
  readonly lots: readonly ExplainedLot[];
  readonly limits: readonly CheckedLimit[];
}

/** The explanation of a refusal, for those who may read the wallet. Nothing was taken from any lot. */
export function refusalExplained(explanation: Explanation | null, caller: Caller): Explained | null {
  if (explanation === null || !mayOnWallet(caller, 'billing:read', explanation.walletId)) return null;
  return { ...explanation, lots: explanation.lots.map((lot) => ({ ...lot, taken: ZERO })) };
}

const ExplainedLimitRef = builder.objectRef<CheckedLimit>('ExplainedLimit').implement({
  description:
    'A cap or limit on credits as a charge found it. Frequency caps count operations: the one that refused is told by PlanLimitReached itself.',
  fields: (t) => ({
    limitCode: t.exposeString('limitCode', { description: 'Which limit.' }),
    limit: t.expose('limit', { type: 'Credits', description: 'What it allows in one window.' }),
    used: t.expose('used', { type: 'Credits', description: 'What was charged or reserved in the window before.' }),
    blocked: t.exposeBoolean('blocked', { description: 'True where it refused the charge.' }),
  }),
});

const ExplainedLotRef = builder.objectRef<ExplainedLot>('ExplainedLot').implement({
  description: 'A lot that a charge was taken from, or that a refused one considered.',
  fields: (t) => ({
    lot: t.field({
      type: LotRef,
      description: 'The lot as it is now.',
      resolve: ({ lotId }, _args, context, info) =>
        loadRow(context, info, lotId, (ids, query) =>
          context.services.prisma.lot.findMany({ ...query, where: { id: { in: ids } } }),
        ),
    }),
    taken: t.expose('taken', { type: 'Credits', description: 'What was taken from it; 0 for a refusal.' }),
    reason: t.string({
      description: 'Why it stands where it does in the burn order, in English.',
      resolve: async ({ lotId, available }, _args, context, info) =>
        describe(await lotWithBucket(lotId, context, info), available),
    }),
  }),
});

type LotWithBucket = Lot & { readonly bucket: Bucket };

async function lotWithBucket(lotId: string, context: GraphQLContext, info: GraphQLResolveInfo): Promise<LotWithBucket> {
  const lot = await context.loaders.byPath(info, lotId, async (ids) => {
    const where = { id: { in: [...ids] } };
    const lots = await context.services.prisma.lot.findMany({ where, include: { bucket: true } });
    return inOrder(ids, lots, (found) => found.id);
  });
  if (!lot) throw new Error(`the lot ${lotId} of an explanation is missing`);
  return lot;
}

function describe({ bucket, allocationId, expiresAt, paid }: LotWithBucket, available: Micros | null): string {
  const expiry = expiresAt === null ? 'never expires' : `expires ${expiresAt.toISOString()}`;
  const earmark = allocationId === null ? '' : 'earmarked for the project or member, which burns first; ';
  const place = `${earmark}${bucket.key} burns at priority ${bucket.burnPriority}; the lot ${expiry} and is ${paid ? 'paid' : 'free'}`;
  return available === null ? place : `${place}; ${formatCredits(available)} of it could be spent`;
}

export const ExplanationRef = builder.objectRef<Explained>('Explanation').implement({
  description: 'How a charge came about, or why it was refused. Readable with billing:read.',
  fields: (t) => ({
    rateCardVersion: t.exposeInt('rateCardVersion', {
      nullable: true,
      description: 'The rate card that priced it; null for a charge by amount.',
    }),
    lines: t.field({
      type: [UsageLineRef],
      description: 'How each usage line was priced, with the rate that matched; empty for a charge by amount.',
      resolve: ({ lines }) => [...lines],
    }),
    lots: t.field({
      type: [ExplainedLotRef],
      description:
        'The lots in burn order: all that gave something; of a refusal the first that could have, at most 20.',
      resolve: ({ lots }) => [...lots],
    }),
    limits: t.field({
      type: [ExplainedLimitRef],
      description:
        'The caps and limits on credits that were checked, as they stood before; empty for captures, whose room was taken by their hold.',
      resolve: ({ limits }) => [...limits],
    }),
  }),
});
