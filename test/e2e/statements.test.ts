/** Statements of months: where they begin and end, what they tell, when they close, and that closed ones never change. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instant } from '../../src/domain/time/instant.ts';
import { decodeId } from '../../src/graphql/ids.ts';
import { moveTestClock } from '../../src/persistence/test-clock.ts';
import { StatementDocument } from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, anOrganization, type Given, grant } from '../support/given.ts';
import { expectSoundStatements, lines, statementsOf, usageRows } from '../support/statements.ts';
import { anOwner, aProject, charge, rowsOf } from '../support/usage.ts';
import { refunded } from './metering.ts';

let gateway: TestGateway;
let second: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
  second = await startTestGateway({ database: gateway.database });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
});

const statementOf = async ({ client, slug }: Given, month: string) =>
  (await client.run(StatementDocument, { slug, month })).organization?.statement ?? null;

/** What is posted from now on is stamped with this instant until the organization's clock passes it. */
async function stampAt({ id }: Given, at: string | number): Promise<void> {
  await query(gateway.database, 'UPDATE wallet SET last_posted_at = $2 WHERE organization_id = $1', [
    decodeId('Organization', id),
    new Date(at),
  ]);
}

const MILLISECOND = 1;

describe('a month', () => {
  it.each([
    // In daylight saving time from 26 April to the last Thursday of October.
    ['Africa/Cairo', '2041-04', '2041-03-31T22:00:00.000Z', '2041-04-30T21:00:00.000Z'],
    ['Africa/Cairo', '2041-10', '2041-09-30T21:00:00.000Z', '2041-10-31T22:00:00.000Z'],
    // Half an hour of daylight saving time, which ends on the first Sunday of April.
    ['Australia/Lord_Howe', '2041-04', '2041-03-31T13:00:00.000Z', '2041-04-30T13:30:00.000Z'],
    ['Australia/Lord_Howe', '2041-10', '2041-09-30T13:30:00.000Z', '2041-10-31T13:00:00.000Z'],
    ['UTC', '2041-02', '2041-02-01T00:00:00.000Z', '2041-03-01T00:00:00.000Z'],
  ])(
    'in %s, %s, reaches from local midnight to local midnight to the millisecond',
    async (timeZone, month, start, end) => {
      const before = new Date(Date.parse(start) - 3_600_000).toISOString();
      const organization = await anOrganization(gateway, { timeZone, now: before, credits: { purchased: '100' } });
      const { client } = organization;
      await stampAt(organization, Date.parse(start) - MILLISECOND);
      await charge(client, { amount: '1' });
      await stampAt(organization, start);
      await charge(client, { amount: '2' });
      await stampAt(organization, Date.parse(end) - MILLISECOND);
      await charge(client, { amount: '4' });
      await stampAt(organization, end);
      await charge(client, { amount: '8' });

      expect(await statementOf(organization, month)).toMatchObject({
        ...{ month, startsAt: start, endsAt: end, status: 'CLOSED' },
        ...{ opening: '99', credited: [], debited: [{ reasonCode: 'USAGE', credits: '6', entries: 2 }], closing: '93' },
        ...{ fromSequence: 3, toSequence: 4, closedAt: end, hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
      });
      const [running, , previous] = await statementsOf(organization);
      expect(running).toMatchObject({
        ...{ status: 'OPEN', opening: '93', closing: '85', fromSequence: 5, toSequence: 5, closedAt: null, hash: null },
      });
      expect(previous).toMatchObject({ status: 'CLOSED', opening: '0', closing: '99', fromSequence: 1, toSequence: 2 });
      await expectSoundStatements(gateway, organization);
    },
  );
});
void [moveTestClock, instant, advanceTo, grant, lines, usageRows, aProject, anOwner, rowsOf, refunded];
