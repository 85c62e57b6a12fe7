/** A cursor of the gateway with another value at its end: what a client could make up who knows what cursors are. */
export function forgeCursor(cursor: string, last: string | number | null): string {
  const parts = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
  return Buffer.from(JSON.stringify([...parts.slice(0, -1), last])).toString('base64url');
}
