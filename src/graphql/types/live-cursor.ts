/** Cursors of a wallet's streams: the wallet, and its version or the number of its newest alert event. */
import { encodeCursor, walletNumber } from '../pages.ts';

const KIND = 'balance';
const ALERT_KIND = 'alert';

export const liveCursor = (walletId: string, version: bigint): string =>
  encodeCursor(KIND, [walletId, version.toString()]);

export const alertCursor = (walletId: string, number: bigint): string =>
  encodeCursor(ALERT_KIND, [walletId, number.toString()]);

export const alertEventOf = (walletId: string, cursor: string): bigint => walletNumber(ALERT_KIND, walletId, cursor);

export const versionOf = (walletId: string, cursor: string): bigint => walletNumber(KIND, walletId, cursor);
