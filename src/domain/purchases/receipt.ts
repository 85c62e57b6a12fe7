/** Receipts: one per paid purchase, numbered without gaps per issuer from 1. */

/** "R-000042": the issuer, then the number, which grows beyond six digits when it must. */
export const receiptNumber = (issuer: string, sequence: bigint): string =>
  `${issuer}-${sequence.toString().padStart(6, '0')}`;
