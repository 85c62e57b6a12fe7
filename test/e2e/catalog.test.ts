/**
 * Pricing as code: a catalog is compared, applied and in force, in one gateway and in all that share the database, for every
 * charge from then on and none before.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ONE } from '../../src/domain/credits/decimal.ts';
import type { DebitCommand } from '../../src/domain/posting/commands.ts';
import { encodeId } from '../../src/graphql/ids.ts';
import { CatalogStore } from '../../src/operations/catalog-store.ts';
import { ADVISORY_LOCKS } from '../../src/persistence/advisory-locks.ts';
import {
  ApplyCatalogDocument,
  BeginPurchaseDocument,
  CreateOrganizationDocument,
  DebitDocument,
  LedgerDocument,
  OffersDocument,
  RateCardDocument,
  SelectPlanDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { DEMO_YAML, demoWith, lineOf, OTHER_KIND } from '../support/catalog-files.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization } from '../support/given.ts';
import { aDebit, anEngine, eventually, tenantOf } from '../support/process-posting.ts';

const DAY = 86_400_000;

/** Two gateways on one database. */
let database: TestDatabase;
let gateway: TestGateway;
let other: TestGateway;
let operator: TestClient;
beforeAll(async () => {
  database = await createDatabase();
  gateway = await startTestGateway({ database });
  other = await startTestGateway({ database });
  operator = gateway.as(gateway.demo.tokens.operator);
});
afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await applied(operator, DEMO_YAML);
});

const RENDERED = 'match: { render_js: true }, credits: 2';
/** The demo's catalog with another price of a page rendered in a browser, which is 2. */
const renderedAt = (credits: string) => demoWith([RENDERED, `match: { render_js: true }, credits: ${credits}`]);
const scheduled = (yaml: string, at: string) => `ratesEffectiveAt: ${at}\n${yaml}`;
const inDays = (days: number) => new Date(Date.now() + days * DAY).toISOString();

async function apply(client: TestClient, yaml: string, dryRun?: boolean) {
  const input = { yaml, ...(dryRun === undefined ? {} : { dryRun }) };
  return (await client.run(ApplyCatalogDocument, { input })).applyCatalog;
}

async function applied(client: TestClient, yaml: string, dryRun?: boolean) {
  const answer = await apply(client, yaml, dryRun);
  if (answer.__typename !== 'ApplyCatalogPayload') throw new Error(JSON.stringify(answer));
  return answer;
}

async function refusal(client: TestClient, yaml: string) {
  const answer = await apply(client, yaml);
  if (answer.__typename !== 'InvalidInput') throw new Error(JSON.stringify(answer));
  expect(answer.path).toEqual(['yaml']);
  return answer.message;
}

/** Charges one page rendered in a browser; what it cost. */
async function render(client: TestClient, input: { readonly occurredAt?: string } = {}): Promise<string> {
  const usage = [{ meter: 'scrape', dimensions: { render_js: true } }];
  const { debit } = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), usage, ...input } });
  if (debit.__typename !== 'DebitPayload') throw new Error(JSON.stringify(debit));
  return debit.usage.credits;
}

async function renderedPrice(client: TestClient, at?: string) {
  const { rateCard } = await client.run(RateCardDocument, at === undefined ? {} : { at });
  const rate = rateCard.rates.find(({ meter, match }) => meter === 'scrape' && match !== null);
  return { version: rateCard.version, effectiveAt: rateCard.effectiveAt, credits: rate?.credits };
}

/** Everything that applying a catalog writes. */
async function stored() {
  const [row] = await query<{ versions: number; audits: number; buckets: object; allowances: object }>(
    database,
    `SELECT (SELECT max(version) FROM catalog_version) AS versions,
       (SELECT count(*)::int FROM audit_record WHERE action = 'applyCatalog') AS audits,
       (SELECT jsonb_agg(to_jsonb(b) ORDER BY id) FROM bucket b) AS buckets,
       (SELECT jsonb_agg(to_jsonb(a) ORDER BY bucket_id) FROM allowance a) AS allowances`,
  );
  if (!row) throw new Error('no answer');
  return row;
}

describe('a dry run', () => {
  it('tells what would change, and changes nothing', async () => {
    const before = await stored();
    const answer = await applied(operator, renderedAt('2.5'), true);
    expect(answer).toMatchObject({
      changes: [{ path: 'rates.scrape{"render_js":true}.credits', before: '2', after: '2.5' }],
      applied: false,
      rateCardVersion: before.versions,
    });
    expect(await stored()).toEqual(before);
    expect((await renderedPrice(gateway.as())).credits).toBe('2');
  });

  it('is refused what applying would be refused', async () => {
    const yaml = demoWith(...OTHER_KIND);
    expect(await apply(operator, yaml, true)).toMatchObject({ __typename: 'InvalidInput', path: ['yaml'] });
  });
});

describe('applying a catalog', () => {
  it('puts it in force at once: for rates, plans and packages, and for the next charge', async () => {
    const { client } = await anOrganization(gateway, { credits: { purchased: '100' } });
    expect(await render(client)).toBe('2');
    const yaml = demoWith([RENDERED, `${RENDERED}.25`], ['amountMinor: 2900', 'amountMinor: 3100']);
    const { changes, applied: isApplied, rateCardVersion } = await applied(operator, yaml);
    expect(isApplied).toBe(true);
    expect(changes).toEqual([
      { path: 'plans.team.price.amountMinor', before: '2900', after: '3100' },
      { path: 'rates.scrape{"render_js":true}.credits', before: '2', after: '2.25' },
    ]);
    expect(await renderedPrice(gateway.as())).toMatchObject({ version: rateCardVersion, credits: '2.25' });
    const { plans } = await gateway.as().run(OffersDocument, {});
    expect(plans.find(({ key }) => key === 'team')?.price.amountMinor).toBe(3100);
    expect(await render(client)).toBe('2.25');
  });

  it('leaves every entry with the version that priced it', async () => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '100' } });
    const { rateCardVersion: first } = await applied(operator, renderedAt('3'));
    await render(client);
    const { rateCardVersion: second } = await applied(operator, renderedAt('4'));
    await render(client);
    const { organization } = await client.run(LedgerDocument, { slug, first: 2 });
    const entries = organization?.wallet?.ledger.edges.map(({ node }) => [node.amount, node.rateCardVersion]);
    expect(entries).toEqual([
      ['4', second],
      ['3', first],
    ]);
    expect(second).toBe(first + 1);
    await expectSoundBooks(database, id);
  });

  it('is recorded with who did it, in no organization’s audit trail', async () => {
    const { versions } = await stored();
    const { rateCardVersion } = await applied(operator, renderedAt('5'));
    const records = await query(
      database,
      `SELECT organization_id, actor_kind, actor_id, before, after->>'rateCardVersion' AS version, after->>'changes' AS changes,
         request_id IS NOT NULL AS traced, (SELECT applied_by FROM catalog_version WHERE version = $1) AS applied_by
       FROM audit_record WHERE action = 'applyCatalog' ORDER BY id DESC LIMIT 1`,
      [rateCardVersion],
    );
    expect(records).toEqual([
      {
        organization_id: null,
        actor_kind: 'OPERATOR',
        actor_id: 'demo-operator',
        before: { rateCardVersion: versions },
        version: String(rateCardVersion),
        changes: '1',
        traced: true,
        applied_by: 'demo-operator',
      },
    ]);
  });

  it('without a difference changes nothing, however it is written', async () => {
    const before = await stored();
    const again = `# the same\n\n${DEMO_YAML.replace('credits: 1.5 }', 'credits: 1.500 }')}`;
    for (const yaml of [DEMO_YAML, again]) {
      expect(await applied(operator, yaml)).toMatchObject({
        changes: [],
        applied: false,
        rateCardVersion: before.versions,
      });
    }
    expect(await stored()).toEqual(before);
  });

  it('is the operators’', async () => {
    const before = await stored();
    for (const name of ['owner', 'admin', 'editor', 'viewer', 'masterKey', 'usageKey', 'readKey'] as const) {
      for (const dryRun of [true, false]) {
        const { errors } = await gateway
          .as(gateway.demo.tokens[name])
          .raw(
            'mutation($yaml: String!, $dryRun: Boolean) { applyCatalog(input: { yaml: $yaml, dryRun: $dryRun }) { __typename } }',
            {
              yaml: renderedAt('9'),
              dryRun,
            },
          );
        expect(errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
      }
    }
    expect(await stored()).toEqual(before);
  });
});

describe('a catalog is refused', () => {
  it('with every problem it has, each on its line', async () => {
    const before = await stored();
    const yaml = demoWith(
      ['burnPriority: 40', 'burnPriority: high'],
      ['interval: DAY, credits: 200 }', 'interval: WEEK, credits: 200 }'],
      ['unit: page, credits: 1.5', 'unit: page, credits: -1.5'],
    );
    const message = await refusal(operator, yaml);
    expect(message.split('\n').slice(1)).toEqual([
      expect.stringMatching(new RegExp(`^line ${lineOf(yaml, 'burnPriority: high')}: buckets\\.3\\.burnPriority: `)),
      expect.stringMatching(new RegExp(`^line ${lineOf(yaml, 'WEEK')}: plans\\.1\\.allowances\\.0\\.interval: `)),
      expect.stringMatching(new RegExp(`^line ${lineOf(yaml, '-1.5')}: rates\\.3\\.credits: `)),
    ]);
    expect(await stored()).toEqual(before);
  });

  it('where two of its rates are ambiguous', async () => {
    const added = '  - { meter: scrape, unit: page, match: { proxy: home }, credits: 3 }\n';
    const yaml = demoWith(['rates:\n', `rates:\n${added}`]);
    expect(await refusal(operator, yaml)).toMatch(
      new RegExp(`line ${lineOf(yaml, RENDERED)}: rates\\.\\d+: is ambiguous`),
    );
  });

  it('where a bucket changes its kind, for its credits cannot', async () => {
    const before = await stored();
    const yaml = demoWith(...OTHER_KIND);
    const message = await refusal(operator, yaml);
    expect(message).toContain(`line ${lineOf(yaml, 'key: promotional')}: buckets.1.kind: `);
    expect(message).toContain('PROMOTIONAL');
    expect(await stored()).toEqual(before);
  });

  it('where its rates were to take effect in the past', async () => {
    const yaml = scheduled(renderedAt('9'), '2026-01-01T00:00:00Z');
    expect(await refusal(operator, yaml)).toMatch(/line 1: ratesEffectiveAt: has passed/);
  });

  it.each([
    ['is no YAML', 'buckets: [', /line 1: /],
    ['is empty', '', /line 1: /],
    ['has more than a million characters', `${DEMO_YAML}#${'x'.repeat(1_000_000)}`, /1,000,000 characters/],
    ['cannot be stored', `${DEMO_YAML}# \0\n`, /valid text/],
  ])('where it %s', async (_what, yaml, message) => {
    expect(await refusal(operator, yaml)).toMatch(message);
  });
});

describe('two gateways on one database', () => {
  it('price by the catalog that was applied last, from the very next charge, whichever applied it', async () => {
    const { client, secret } = await anOrganization(gateway, { credits: { purchased: '1000' } });
    const elsewhere = other.as(secret);
    const operatorElsewhere = other.as(other.demo.tokens.operator);
    for (let price = 3; price < 13; price++) {
      const [applying, charging] = price % 2 === 0 ? [operator, elsewhere] : [operatorElsewhere, client];
      await applied(applying, renderedAt(String(price)));
      expect(await render(charging)).toBe(String(price));
    }
  });

  it('sell at the price of the catalog that was applied last', async () => {
    const { secret } = await anOrganization(gateway);
    await applied(operator, demoWith(['amountMinor: 4500', 'amountMinor: 4900']));
    const { purchasePackage } = await other.as(secret).run(BeginPurchaseDocument, {
      input: { idempotencyKey: aKey(), packageId: encodeId('Package', 'growth') },
    });
    expect(purchasePackage.__typename).toBe('PurchasePayload');
    const [sold] = await query(database, 'SELECT price_minor, catalog_version FROM purchase ORDER BY id DESC LIMIT 1');
    expect(sold).toEqual({ price_minor: '4900', catalog_version: (await stored()).versions });
  });

  it('show the catalog that was applied last, also after they could not be told of it', async () => {
    const shows = (credits: string) => async () => (await renderedPrice(other.as())).credits === credits;
    await applied(operator, renderedAt('13'));
    await eventually(shows('13'), 'the other gateway was told');
    await query(
      database,
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'purser-listen'`,
    );
    await applied(operator, renderedAt('14'));
    await eventually(shows('14'), 'the other gateway looked when it listened again');
  });

  it('apply one after the other what is applied at once: each sees what the one before left', async () => {
    const before = (await stored()).versions;
    const prices = Array.from({ length: 8 }, (_, index) => String(20 + index));
    const operators = [operator, other.as(other.demo.tokens.operator)];
    const answers = await Promise.all(
      prices.map((price, index) => applied(operators[index % 2] ?? operator, renderedAt(price))),
    );
    const inOrder = answers.toSorted((a, b) => a.rateCardVersion - b.rateCardVersion);
    expect(inOrder.map(({ rateCardVersion }) => rateCardVersion)).toEqual(prices.map((_, index) => before + index + 1));
    const steps = inOrder.flatMap(({ changes }) => changes.map((change) => [change.before, change.after]));
    expect(steps.map(([from]) => from)).toEqual(['2', ...steps.slice(0, -1).map(([, to]) => to)]);
  });

  it('store a catalog once that both apply at the same time', async () => {
    const before = (await stored()).versions;
    const operators = [operator, other.as(other.demo.tokens.operator)];
    const answers = await Promise.all(operators.map((client) => applied(client, renderedAt('40'))));
    expect(answers.map((answer) => answer.applied).toSorted()).toEqual([false, true]);
    expect(answers.map(({ rateCardVersion }) => rateCardVersion)).toEqual([before + 1, before + 1]);
  });
});

describe('a posting engine', () => {
  it('that nobody told of a new catalog finds out with the next batch, and decides by it', async () => {
    const { id, slug, client } = await anOrganization(gateway, { credits: { purchased: '100' } });
    const untold = await CatalogStore.load(gateway.gateway.services.sql);
    let refreshes = 0;
    await using posting = anEngine(gateway, {
      policies: () => untold.policies,
      refreshPolicies: () => {
        refreshes += 1;
        return untold.refresh(gateway.gateway.services.sql);
      },
    });
    const { rateCardVersion } = await applied(operator, renderedAt('7'));
    expect(untold.snapshot.version).toBeLessThan(rateCardVersion);
    const tenant = await tenantOf(database, id);
    const usage = [{ meter: 'scrape', quantity: ONE, dimensions: { render_js: true }, preview: false }];
    for (let count = 0; count < 2; count++) {
      const command: DebitCommand = { ...aDebit(tenant, '1'), charge: { kind: 'usage', usage } };
      expect(await posting.engine.execute(command)).toMatchObject({
        status: 'posted',
        transaction: { amount: -7_000_000n, rateCardVersion },
      });
    }
    expect(refreshes).toBe(1);
    expect(posting.log).toEqual([]);
    const { organization } = await client.run(WalletStateDocument, { slug });
    expect(organization?.wallet?.totalAvailable).toBe('86');
  });

  it('that cannot read the catalog in force posts nothing, and says that it is worth another try', async () => {
    await using own = await startTestGateway();
    const { client, slug, secret } = await anOrganization(own, { credits: { purchased: '100' } });
    await query(
      own.database,
      `INSERT INTO catalog_version (version, source, effective_at, applied_at, applied_by)
       VALUES (2, 'buckets: []\nof: tomorrow', now(), now(), 'a newer gateway')`,
    );
    const answer = await client.raw(
      'mutation($key: String!) { debit(input: { idempotencyKey: $key, amount: "1" }) { __typename } }',
      {
        key: aKey(),
      },
    );
    expect(answer.status).toBe(503);
    expect(answer.errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }]);
    await query(own.database, 'DELETE FROM catalog_version WHERE version = 2');
    expect(await render(own.as(secret))).toBe('2');
    const { organization } = await client.run(WalletStateDocument, { slug });
    expect(organization?.wallet?.totalAvailable).toBe('98');
  });
});

describe('rates that take effect later', () => {
  let own: TestGateway;
  let ownOperator: TestClient;
  const start = inDays(10);
  beforeAll(async () => {
    own = await startTestGateway();
    ownOperator = own.as(own.demo.tokens.operator);
    await applied(ownOperator, scheduled(renderedAt('6'), start));
  });
  afterAll(() => own[Symbol.asyncDispose]());

  it('are shown for the instants from theirs on', async () => {
    const before = new Date(Date.parse(start) - 1).toISOString();
    expect(await renderedPrice(own.as())).toMatchObject({ version: 1, credits: '2' });
    expect(await renderedPrice(own.as(), before)).toMatchObject({ version: 1, credits: '2' });
    expect(await renderedPrice(own.as(), start)).toEqual({ version: 2, effectiveAt: start, credits: '6' });
  });

  it('price what is charged from then on, by the time when it occurred', async () => {
    const { client, id, slug } = await anOrganization(own, { credits: { purchased: '100' } });
    expect(await render(client)).toBe('2');
    await advanceTo(own, id, new Date(Date.parse(start) + 3_600_000).toISOString());
    expect(await render(client)).toBe('6');
    expect(await render(client, { occurredAt: new Date(Date.parse(start) - 1).toISOString() })).toBe('2');
    expect(await render(client, { occurredAt: start })).toBe('6');
    const { organization } = await client.run(LedgerDocument, { slug, first: 4 });
    expect(organization?.wallet?.ledger.edges.map(({ node }) => node.rateCardVersion)).toEqual([2, 1, 2, 1]);
    await expectSoundBooks(own.database, id);
  });

  it('let everything else of their catalog change at once', async () => {
    const yaml = scheduled(
      demoWith([RENDERED, 'match: { render_js: true }, credits: 6'], ['amountMinor: 1000,', 'amountMinor: 1200,']),
      start,
    );
    const { rateCardVersion, changes } = await applied(ownOperator, yaml);
    expect(changes.map(({ path }) => path)).toEqual(['packages.starter.price.amountMinor']);
    const { packages } = await own.as().run(OffersDocument, {});
    expect(packages.find(({ key }) => key === 'starter')?.price.amountMinor).toBe(1200);
    expect(await renderedPrice(own.as())).toMatchObject({ version: 1, credits: '2' });
    expect(await renderedPrice(own.as(), start)).toMatchObject({ version: rateCardVersion, credits: '6' });
  });

  it('keep those that were to take effect earlier from being applied after them', async () => {
    expect(await refusal(ownOperator, renderedAt('3'))).toContain(start);
    expect(await refusal(ownOperator, scheduled(renderedAt('3'), inDays(5)))).toContain(start);
  });
});

describe('buckets', () => {
  const NEW = '  - { key: gifts, name: Gifts, kind: PROMOTIONAL, burnPriority: 5 }\n';

  it('that a catalog adds or changes are so in every wallet, also in those made at the same moment', async () => {
    await using own = await startTestGateway();
    await using beside = await startTestGateway({ database: own.database });
    const clients = [own, beside].map((place) => place.as(place.demo.tokens.operator));
    const creating = Array.from({ length: 20 }, async (_, index) => {
      const { createOrganization } = await (clients[index % 2] ?? operator).run(CreateOrganizationDocument, {
        input: { slug: `at-once-${index}`, name: 'At once' },
      });
      expect(createOrganization.__typename).toBe('OrganizationPayload');
    });
    const yaml = demoWith(['buckets:\n', `buckets:\n${NEW}`], ['name: Purchased credits', 'name: Bought credits']);
    await Promise.all([...creating, applied(own.as(own.demo.tokens.operator), yaml)]);
    const odd = await query(
      own.database,
      `SELECT w.id FROM wallet w
       LEFT JOIN bucket g ON g.wallet_id = w.id AND g.key = 'gifts' AND g.burn_priority = 5 AND g.kind = 'PROMOTIONAL'
       LEFT JOIN bucket p ON p.wallet_id = w.id AND p.key = 'purchased' AND p.name = 'Bought credits'
       WHERE g.id IS NULL OR p.id IS NULL`,
    );
    expect(odd).toEqual([]);
  });

  it('change under charges that go on: none fails, and the books agree', async () => {
    const organizations = await Promise.all(
      Array.from({ length: 6 }, () => anOrganization(gateway, { credits: { purchased: '1000', promotional: '50' } })),
    );
    const charging = Promise.all(
      organizations.flatMap(({ secret }) =>
        [gateway, other].map(async (place) => {
          for (let count = 0; count < 15; count++) await render(place.as(secret));
        }),
      ),
    );
    for (let priority = 41; priority < 47; priority++) {
      await applied(operator, demoWith(['burnPriority: 40', `burnPriority: ${priority}`]));
    }
    await charging;
    for (const { id } of organizations) await expectSoundBooks(database, id);
  });
});

describe('the allowance of a plan', () => {
  it('changes for its subscribers with their next refresh; what was granted stays', async () => {
    const { client, slug, id } = await anOrganization(gateway, { plan: 'free' });
    const onAnotherPlan = await anOrganization(gateway, { plan: 'team' });
    const daily = async (of: { readonly client: TestClient; readonly slug: string }) => {
      const { organization } = await of.client.run(WalletStateDocument, { slug: of.slug });
      const bucket = organization?.wallet?.buckets.find(({ key }) => key === 'daily_free');
      return { available: bucket?.available, next: bucket?.refresh?.amount };
    };
    expect(await daily({ client, slug })).toEqual({ available: '100', next: '100' });
    await applied(operator, demoWith(['interval: DAY, credits: 100 }', 'interval: DAY, credits: 130.5 }']));
    expect(await daily({ client, slug })).toEqual({ available: '100', next: '130.5' });
    expect(await daily(onAnotherPlan)).toEqual({ available: '200', next: '200' });
    await advanceTo(gateway, id, inDays(1.5));
    expect(await daily({ client, slug })).toEqual({ available: '130.5', next: '130.5' });
    await expectSoundBooks(database, id);
  });

  it('is that of the new catalog for who subscribes while it is applied', async () => {
    const { createOrganization } = await operator.run(CreateOrganizationDocument, {
      input: { slug: aKey(), name: 'Subscribes' },
    });
    if (createOrganization.__typename !== 'OrganizationPayload') throw new Error(createOrganization.__typename);
    const organizationId = createOrganization.organization.id;
    const applying = new Client({ connectionString: database.adminUrl });
    await applying.connect();
    await applying.query('BEGIN');
    await applying.query('SELECT pg_advisory_xact_lock($1)', [ADVISORY_LOCKS.catalogs]);
    // The allowances of all subscribers are changed by now: who subscribes from here on is not among them.
    const selecting = operator.run(SelectPlanDocument, {
      input: { organizationId, planId: encodeId('Plan', 'free'), idempotencyKey: aKey() },
    });
    const waiting = `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted`;
    const waits = async () => (await query(database, waiting, [ADVISORY_LOCKS.catalogs])).length === 1;
    await eventually(waits, 'the subscription waits for the catalog');
    await applying.query(
      `INSERT INTO catalog_version (version, source, effective_at, applied_at, applied_by)
       SELECT max(version) + 1, $1, now(), now(), 'test' FROM catalog_version`,
      [demoWith(['interval: DAY, credits: 100 }', 'interval: DAY, credits: 131 }'])],
    );
    await applying.query('COMMIT');
    await applying.end();
    const { selectPlan } = await selecting;
    expect(selectPlan).toMatchObject({
      wallet: { buckets: expect.arrayContaining([expect.objectContaining({ key: 'daily_free', available: '131' })]) },
    });
  });
});

describe('a gateway that is started with PURSER_CATALOG', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'purser-catalog-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  async function withCatalog(yaml: string): Promise<{ readonly PURSER_CATALOG: string }> {
    const path = join(directory, `${aKey()}.yaml`);
    await writeFile(path, yaml);
    return { PURSER_CATALOG: path };
  }

  const versionsIn = async (place: TestDatabase) =>
    query(place, 'SELECT version, applied_by FROM catalog_version ORDER BY version');

  it('applies it where it differs from the one in force, and not where it is only written otherwise', async () => {
    await using place = await createDatabase();
    const files = [DEMO_YAML, `# a comment\n${DEMO_YAML}`, renderedAt('3'), renderedAt('3.0')];
    for (const yaml of files) {
      await using started = await startTestGateway({ database: place, env: await withCatalog(yaml) });
      expect(started.gateway.notices).toEqual([]);
    }
    expect(await versionsIn(place)).toEqual([
      { version: 1, applied_by: 'start' },
      { version: 2, applied_by: 'start' },
    ]);
  });

  it('starts again when the instant of its rates has passed meanwhile', async () => {
    await using place = await createDatabase();
    await using _first = await startTestGateway({ database: place });
    const yaml = scheduled(renderedAt('3'), inDays(-1));
    await query(
      place,
      `INSERT INTO catalog_version (version, source, effective_at, applied_at, applied_by)
       VALUES (2, $1, now() - interval '1 day', now() - interval '2 days', 'test')`,
      [yaml],
    );
    await using again = await startTestGateway({ database: place, env: await withCatalog(yaml) });
    expect((await renderedPrice(again.as())).credits).toBe('3');
    expect(await versionsIn(place)).toHaveLength(2);
  });

  it('does not start where it may not be applied, and names the line', async () => {
    await using place = await createDatabase();
    await using _first = await startTestGateway({ database: place });
    const env = await withCatalog(demoWith(...OTHER_KIND));
    await expect(startTestGateway({ database: place, env })).rejects.toThrow(
      `${env.PURSER_CATALOG}: line ${lineOf(DEMO_YAML, 'key: promotional')}: buckets.1.kind: `,
    );
    expect(await versionsIn(place)).toHaveLength(1);
  });
});
