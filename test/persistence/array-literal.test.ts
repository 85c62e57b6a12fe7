import fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { arrayLiteral } from '../../src/persistence/array-literal.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let client: Client;
beforeAll(async () => {
  database = await createDatabase();
  client = new Client({ connectionString: database.adminUrl });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database[Symbol.asyncDispose]();
});

/** The elements as PostgreSQL has understood them. */
async function readBack(elements: Parameters<typeof arrayLiteral>[0], type: string): Promise<unknown[]> {
  const { rows } = await client.query<{ elements: unknown[] }>(`SELECT to_json($1::${type}[]) AS elements`, [
    arrayLiteral(elements),
  ]);
  return rows[0]?.elements ?? [];
}

describe('an array literal', () => {
  it('is read by PostgreSQL as what it was made of, whatever text that is', async () => {
    const awkward = fc.constantFrom(
      '',
      'NULL',
      'null',
      '"',
      '\\',
      '{',
      '}',
      ',',
      ' ',
      '\n',
      '\\"',
      '{"a":"\\n"}',
      '🙂',
    );
    const text = fc
      .oneof(fc.string(), fc.string({ unit: 'grapheme' }), awkward)
      .filter((found) => !found.includes('\0'));
    const elements = fc.array(fc.oneof({ weight: 5, arbitrary: text }, { weight: 1, arbitrary: fc.constant(null) }));
    await fc.assert(
      fc.asyncProperty(elements, async (given) => {
        expect(await readBack(given, 'text')).toEqual(given);
      }),
      { numRuns: 300 },
    );
  });

  it('holds numbers and booleans as well', async () => {
    expect(await readBack([1, -2, null], 'int')).toEqual([1, -2, null]);
    expect(await readBack([9_007_199_254_740_993n], 'text')).toEqual(['9007199254740993']);
    expect(await readBack([true, false, null], 'boolean')).toEqual([true, false, null]);
  });
});
