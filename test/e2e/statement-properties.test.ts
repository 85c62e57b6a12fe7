/** Statements of ledgers that were made at random, over months, in zones near and far: each balances and follows the last. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { unclosedMonths } from '../../src/domain/statements/months.ts';
import { decodeId } from '../../src/graphql/ids.ts';
import { addUpAhead } from '../../src/persistence/reports/statement-figures.ts';
import { findStatedWallets } from '../../src/persistence/reports/statements.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { anOrganization, type Given, grant, NEXT_YEAR } from '../support/given.ts';
import { expectSoundStatements, statementsOf } from '../support/statements.ts';
import { charge, refund } from '../support/usage.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const HOUR = 3_600_000;

type Step =
  | { readonly kind: 'wait'; readonly hours: number }
  | { readonly kind: 'debit'; readonly credits: number; readonly reasonCode: string }
  | { readonly kind: 'use'; readonly quantity: number; readonly hoursAgo: number; readonly model: string }
  | { readonly kind: 'grant'; readonly credits: number; readonly hoursToLive: number }
  | { readonly kind: 'refund'; readonly which: number }
  | { readonly kind: 'read' }
  | { readonly kind: 'add up' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), hours: fc.integer({ min: 1, max: 400 }) }) },
  fc.record({
    kind: fc.constant('debit' as const),
    credits: fc.integer({ min: 1, max: 50 }),
    reasonCode: fc.constantFrom('USAGE', 'setup', 'seat'),
  }),
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('use' as const),
      quantity: fc.integer({ min: 1, max: 20 }),
      hoursAgo: fc.integer({ min: 0, max: 160 }),
      model: fc.constantFrom('a', 'b'),
    }),
  },
  fc.record({
    kind: fc.constant('grant' as const),
    credits: fc.integer({ min: 1, max: 100 }),
    hoursToLive: fc.integer({ min: 1, max: 1_000 }),
  }),
  fc.record({ kind: fc.constant('refund' as const), which: fc.nat({ max: 20 }) }),
  fc.constant({ kind: 'read' as const }),
  fc.constant({ kind: 'add up' as const }),
);

class Player {
  readonly #organization: Given;
  readonly #charges: string[] = [];
  #now: number;

  constructor(organization: Given, now: string) {
    this.#organization = organization;
    this.#now = Date.parse(now);
  }

  async play(step: Step): Promise<void> {
    const { client, id } = this.#organization;
    switch (step.kind) {
      case 'wait':
        // Nobody touches the wallet: what comes due waits for whoever does next.
        await query(
          gateway.database,
          'UPDATE organization SET test_clock_offset_ms = test_clock_offset_ms + $2 WHERE id = $1',
          [decodeId('Organization', id), step.hours * HOUR],
        );
        this.#now += step.hours * HOUR;
        return;
      case 'debit':
        this.#charges.push(await charge(client, { amount: step.credits, reasonCode: step.reasonCode }));
        return;
      case 'use':
        this.#charges.push(
          await charge(client, {
            usage: [{ meter: 'search', quantity: step.quantity, dimensions: { model: step.model } }],
            occurredAt: new Date(this.#now - step.hoursAgo * HOUR).toISOString(),
          }),
        );
        return;
      case 'grant':
        return grant(
          gateway,
          id,
          'promotional',
          `${step.credits}`,
          new Date(this.#now + step.hoursToLive * HOUR + 60_000).toISOString(),
        );
      case 'refund': {
        const [transactionId] = this.#charges.splice(step.which, 1);
        if (transactionId !== undefined) await refund(client, { transactionId });
        return;
      }
      case 'read':
        await statementsOf(this.#organization);
        return;
      case 'add up': {
        const { sql } = gateway.gateway.services;
        const [wallet] = await findStatedWallets(sql, [decodeId('Organization', id)]);
        if (!wallet) throw new Error('no wallet');
        await addUpAhead(
          sql,
          unclosedMonths(wallet).map((month) => ({ ...month, walletId: wallet.walletId })),
          2n,
        );
      }
    }
  }
}

describe('statements', () => {
  it('balance and follow one another whatever was posted, read and added up on the way', async () => {
    const zones = fc.constantFrom(
      'UTC',
      'Africa/Cairo',
      'Australia/Lord_Howe',
      'Pacific/Kiritimati',
      'America/New_York',
    );
    await fc.assert(
      fc.asyncProperty(zones, fc.array(step, { minLength: 10, maxLength: 40 }), async (timeZone, steps) => {
        const now = `${NEXT_YEAR}-01-20T12:00:00.000Z`;
        const organization = await anOrganization(gateway, { now, timeZone, credits: { purchased: '100000' } });
        const player = new Player(organization, now);
        for (const one of steps) await player.play(one);
        await expectSoundStatements(gateway, organization);
        await expectSoundBooks(gateway.database, organization.id);
      }),
      { numRuns: 12 },
    );
  });
});
