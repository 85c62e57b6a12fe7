/** Cursors as a client could make them up who knows what cursors are. */
import { encodeCursor } from '../../src/graphql/pages.ts';
import { WalletStateDocument } from '../generated/documents.ts';
import type { Given } from '../support/given.ts';

/** A cursor of the gateway with another value at its end. */
export function forgeCursor(cursor: string, last: string | number | null): string {
  const parts = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
  return Buffer.from(JSON.stringify([...parts.slice(0, -1), last])).toString('base64url');
}

/** Before every event of an organization's alerts: a stream after it misses nothing by opening late. */
export async function firstAlertCursor({ client, slug }: Pick<Given, 'client' | 'slug'>): Promise<string> {
  const { organization } = await client.run(WalletStateDocument, { slug });
  // A cursor of the balance names the same wallet.
  const parts = JSON.parse(Buffer.from(organization?.wallet?.liveCursor ?? '', 'base64url').toString()) as string[];
  return encodeCursor('alert', [parts[1] ?? '', '0']);
}
