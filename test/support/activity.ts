/** The feed of an organization, as tests read it. */
import { decodeId } from '../../src/graphql/ids.ts';
import {
  ActivityDocument,
  type ActivityFilter,
  type ActivityKind,
  type ActivityQuery,
} from '../generated/documents.ts';
import { query } from './books.ts';
import type { TestClient, TestGateway } from './gateway.ts';
import { advanceTo } from './given.ts';

interface Reader {
  readonly client: TestClient;
  readonly slug: string;
}

type Page = NonNullable<NonNullable<ActivityQuery['organization']>['activity']>;
export type ActivityNode = Page['edges'][number]['node'];

export async function activityPage(
  { client, slug }: Reader,
  args: { readonly filter?: ActivityFilter; readonly first?: number; readonly after?: string | null } = {},
): Promise<Page> {
  const { organization } = await client.run(ActivityDocument, { slug, ...args });
  if (!organization?.activity) throw new Error('no activity');
  return organization.activity;
}

/** Newest first, up to 100. */
export async function activityOf(reader: Reader, ...kinds: ActivityKind[]): Promise<ActivityNode[]> {
  const filter = kinds.length === 0 ? {} : { filter: { kinds } };
  return (await activityPage(reader, { ...filter, first: 100 })).edges.map(({ node }) => node);
}

/** Oldest first. */
export const summariesOf = async (reader: Reader, ...kinds: ActivityKind[]): Promise<string[]> =>
  (await activityOf(reader, ...kinds)).map(({ summary }) => summary).toReversed();

/** Lets the organization's time pass. */
export async function rest(gateway: TestGateway, id: string, minutes: number): Promise<void> {
  const [row] = await query<{ now: Date }>(
    gateway.database,
    `SELECT clock_timestamp() + test_clock_offset_ms * interval '1 millisecond' AS now FROM organization WHERE id = $1`,
    [decodeId('Organization', id)],
  );
  await advanceTo(gateway, id, new Date((row?.now.getTime() ?? 0) + minutes * 60_000).toISOString());
}

/** Charges and what the feed says of them, and whether its numbers are without gaps. */
export async function sumsOf({ database }: TestGateway, id: string) {
  const [sums] = await query<
    Record<'charged' | 'charges' | 'told' | 'operations' | 'count' | 'highest' | 'open', string>
  >(
    database,
    `SELECT
      (SELECT coalesce(sum(t.amount_micros), 0) FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
       WHERE w.organization_id = $1 AND t.kind IN ('DEBIT', 'CAPTURE'))::text AS charged,
      (SELECT count(*) FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
       WHERE w.organization_id = $1 AND t.kind IN ('DEBIT', 'CAPTURE'))::text AS charges,
      coalesce(sum(credits_micros) FILTER (WHERE kind = 'USAGE'), 0)::text AS told,
      coalesce(sum(split_part(summary, ' ', 1)::int) FILTER (WHERE kind = 'USAGE'), 0)::text AS operations,
      count(*)::text AS count, coalesce(max(number), 0)::text AS highest,
      (SELECT count(*) FROM open_usage u JOIN wallet w ON w.id = u.wallet_id WHERE w.organization_id = $1)::text AS open
     FROM activity WHERE organization_id = $1`,
    [decodeId('Organization', id)],
  );
  if (!sums) throw new Error('no sums');
  return sums;
}
