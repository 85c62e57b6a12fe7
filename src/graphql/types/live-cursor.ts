/** Cursors of balance changes: the wallet's version. */
import { cursorInteger, decodeCursor, encodeCursor } from '../pages.ts';

const KIND = 'balance';

export const liveCursor = ({ version }: { readonly version: bigint }): string =>
  encodeCursor(KIND, [version.toString()]);

export const versionOf = (cursor: string): bigint => cursorInteger(decodeCursor(KIND, cursor)[0]);
