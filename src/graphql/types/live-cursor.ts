/** Cursors of balance changes: the wallet and its version. */
import { encodeCursor, walletNumber } from '../pages.ts';

const KIND = 'balance';

export const liveCursor = (walletId: string, version: bigint): string =>
  encodeCursor(KIND, [walletId, version.toString()]);

export const versionOf = (walletId: string, cursor: string): bigint => walletNumber(KIND, walletId, cursor);
