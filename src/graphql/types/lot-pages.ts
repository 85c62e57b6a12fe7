/** Pages of lots in burn order: by bucket priority and key, then as domain/wallet/burn-order.ts says. */
import { isInCalendar } from '../../domain/time/instant.ts';
import type { Lot, Prisma } from '../../generated/prisma/client.ts';
import { badUserInput } from '../errors.ts';
import { isUuid } from '../ids.ts';
import { decodeCursor, encodeCursor, type Page } from '../pages.ts';

const KIND = 'lot';

export type LotInBurnOrder = Lot & { readonly bucket: { readonly burnPriority: number; readonly key: string } };

export function lotCursor({ bucket, expiresAt, paid, effectiveAt, id }: LotInBurnOrder): string {
  return encodeCursor(KIND, [
    bucket.burnPriority,
    bucket.key,
    expiresAt?.getTime() ?? null,
    paid,
    effectiveAt.getTime(),
    id,
  ]);
}

export const BURN_ORDER: Prisma.LotOrderByWithRelationInput[] = [
  { bucket: { burnPriority: 'asc' } },
  { bucket: { key: 'asc' } },
  { expiresAt: { sort: 'asc', nulls: 'last' } },
  { paid: 'asc' },
  { effectiveAt: 'asc' },
  { id: 'asc' },
];

/** Lots with credits left that can be spent or held now; null asks for all there ever were. */
export function lotFilter(active: boolean | null | undefined): Prisma.LotWhereInput {
  if (active === null || active === undefined) return {};
  const isActive: Prisma.LotWhereInput = { inForce: true, remainingMicros: { gt: 0n } };
  return active ? isActive : { NOT: isActive };
}

/** The lots that come after the page's cursor. */
export function lotsAfter({ cursor }: Page): Prisma.LotWhereInput {
  if (cursor === null) return {};
  const [burnPriority, key, expires, paid, effective, id] = decodeCursor(KIND, cursor);
  const isValid =
    isSmallInteger(burnPriority) &&
    typeof key === 'string' &&
    !key.includes('\0') &&
    (expires === null || isTime(expires)) &&
    typeof paid === 'boolean' &&
    isTime(effective) &&
    isUuid(id);
  if (!isValid) throw badUserInput('after is not a cursor of this list.');
  const expiresAt = expires === null ? null : new Date(expires);
  const effectiveAt = new Date(effective);
  const sameBucket = { bucket: { burnPriority, key } };
  const sameExpiry = { ...sameBucket, expiresAt };
  return {
    OR: [
      { bucket: { burnPriority: { gt: burnPriority } } },
      { bucket: { burnPriority, key: { gt: key } } },
      ...(expiresAt === null ? [] : [{ ...sameBucket, OR: [{ expiresAt: { gt: expiresAt } }, { expiresAt: null }] }]),
      ...(paid ? [] : [{ ...sameExpiry, paid: true }]),
      { ...sameExpiry, paid, effectiveAt: { gt: effectiveAt } },
      { ...sameExpiry, paid, effectiveAt, id: { gt: id } },
    ],
  };
}

const MAX_INT32 = 2 ** 31 - 1;
const isSmallInteger = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Math.abs(Number(value)) <= MAX_INT32;
const isTime = (value: unknown): value is number => Number.isSafeInteger(value) && isInCalendar(Number(value));
