/** Checks the statements of an organization against its books, entry by entry and charge by charge. */
import { expect } from 'vitest';
import { decodeId } from '../../src/graphql/ids.ts';
import type { StatementFieldsFragment } from '../generated/documents.ts';
import { StatementsDocument } from '../generated/documents.ts';
import { query } from './books.ts';
import type { TestGateway } from './gateway.ts';
import type { Given } from './given.ts';

/** Newest first. */
export async function statementsOf(
  { client, slug }: Pick<Given, 'client' | 'slug'>,
  filter: { readonly year?: number; readonly month?: number } = {},
): Promise<readonly StatementFieldsFragment[]> {
  const { organization } = await client.run(StatementsDocument, { slug, ...filter });
  if (!organization?.statements) throw new Error(`no statements of ${slug}`);
  return organization.statements;
}

/** Rows of a statement's usage as values of its keys, quantity, credits and events. */
export const usageRows = ({ usage }: Pick<StatementFieldsFragment, 'usage'>) =>
  usage.map(({ key, quantity, credits, events }) => [...key.map(({ value }) => value), quantity, credits, events]);

/** The lines of one direction as reason, credits and entries. */
export const lines = (side: StatementFieldsFragment['credited']) =>
  side.map(({ reasonCode, credits, entries }) => [reasonCode, credits, entries]);

interface Entry {
  readonly sequence: string;
  readonly direction: 'CREDIT' | 'DEBIT';
  readonly amount_micros: string;
  readonly balance_after_micros: string;
  readonly reason_code: string;
  readonly effective_at: Date;
}

interface Used {
  readonly effective_at: Date;
  readonly key: readonly string[];
  readonly credits: string;
}

/** From a fold over all entries: the statements follow one another, and each says what its entries do. */
export async function expectSoundStatements(gateway: TestGateway, organization: Given): Promise<void> {
  const { database } = gateway;
  const statements = (await statementsOf(organization)).toReversed();
  const id = decodeId('Organization', organization.id);
  const entries = await query<Entry>(
    database,
    `SELECT e.* FROM ledger_entry e JOIN wallet w ON w.id = e.wallet_id WHERE w.organization_id = $1 ORDER BY sequence`,
    [id],
  );
  const used = await query<Used>(
    database,
    `SELECT t.effective_at, ARRAY[line ->> 'meter', coalesce(line -> 'dimensions' ->> 'model', ''),
       coalesce(t.user_id, ''), coalesce(t.project_id::text, '')] AS key, line ->> 'credits' AS credits
     FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
     CROSS JOIN LATERAL jsonb_array_elements(CASE t.lines WHEN '[]' THEN jsonb_build_array(
       jsonb_build_object('meter', '', 'credits', (-t.amount_micros)::text)) ELSE t.lines END) AS line
     WHERE w.organization_id = $1 AND t.kind IN ('DEBIT', 'CAPTURE')`,
    [id],
  );
  const micros = (text: string): bigint => {
    const [, sign = '', whole = '0', fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
    return BigInt(`${sign}${whole}${fraction.padEnd(6, '0')}`);
  };
  let opening = 0n;
  let sequence = 0;
  for (const [index, statement] of statements.entries()) {
    const isIn = ({ effective_at: at }: { readonly effective_at: Date }): boolean =>
      at >= new Date(statement.startsAt) && at < new Date(statement.endsAt);
    const mine = entries.filter(isIn);
    const sums = (direction: Entry['direction']) => {
      const byReason = new Map<string, [bigint, number]>();
      for (const entry of mine) {
        if (entry.direction !== direction) continue;
        const [credits, count] = byReason.get(entry.reason_code) ?? [0n, 0];
        byReason.set(entry.reason_code, [credits + BigInt(entry.amount_micros), count + 1]);
      }
      return byReason;
    };
    const told = (side: StatementFieldsFragment['credited']) =>
      new Map(side.map(({ reasonCode, credits, entries: count }) => [reasonCode, [micros(credits), count]]));
    const total = (side: StatementFieldsFragment['credited']) =>
      side.reduce((sum, { credits }) => sum + micros(credits), 0n);
    expect(told(statement.credited), statement.month).toEqual(sums('CREDIT'));
    expect(told(statement.debited), statement.month).toEqual(sums('DEBIT'));
    expect(micros(statement.opening), statement.month).toBe(opening);
    expect(opening + total(statement.credited) - total(statement.debited)).toBe(micros(statement.closing));
    expect([statement.fromSequence, statement.toSequence]).toEqual(
      mine.length === 0 ? [null, null] : [sequence + 1, sequence + mine.length],
    );
    expect(statement.startsAt).toBe(statements[index - 1]?.endsAt ?? statement.startsAt);
    const charged = used.filter(isIn);
    const events = statement.usage.reduce((sum, row) => sum + row.events, 0);
    const credits = statement.usage.reduce((sum, row) => sum + micros(row.credits), 0n);
    expect([events, credits]).toEqual([charged.length, charged.reduce((sum, row) => sum + BigInt(row.credits), 0n)]);
    opening = micros(statement.closing);
    sequence += mine.length;
  }
  expect(sequence).toBe(entries.length);
  expect(opening).toBe(BigInt(entries.at(-1)?.balance_after_micros ?? 0));
}
