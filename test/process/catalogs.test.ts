/** The catalogs that come with Purser: each is in order, and a gateway starts with it on a database without organizations. */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { projectPath } from '../../src/project-path.ts';
import { ScenarioDebitDocument, ScenarioOffersDocument, WalletStateDocument } from '../generated/documents.ts';
import { createDatabase } from '../support/database.ts';
import { createClient } from '../support/gateway.ts';
import { aKey } from '../support/given.ts';
import { aDataDirectory, startProcess } from '../support/process-gateway.ts';

const BUCKETS = ['daily_free', 'monthly_plan', 'promotional', 'purchased'];

interface Product {
  readonly catalog: string;
  readonly plans: readonly string[];
  /** All of them, in the order of their names. */
  readonly meters: readonly string[];
  /** Something that it sells, and its price. */
  readonly sells: { readonly meter: string; readonly dimensions: Readonly<Record<string, unknown>> };
  readonly credits: string;
}

const PRODUCTS: readonly Product[] = [
  {
    catalog: 'automation',
    plans: ['free', 'team'],
    meters: ['api_call', 'crawl', 'scrape', 'search'],
    sells: { meter: 'crawl', dimensions: { phase: 'render', retry: true } },
    credits: '1.5',
  },
  {
    catalog: 'agents',
    plans: ['free', 'builder', 'scale'],
    meters: [
      ...['agent.create', 'agent.delete', 'agent.pause', 'agent.reload', 'agent.start', 'agent.stop', 'agent.update'],
      ...['chat.message', 'key.manage', 'llm.input_tokens', 'llm.output_tokens', 'read'],
    ],
    sells: { meter: 'agent.create', dimensions: {} },
    credits: '10',
  },
  {
    catalog: 'crawler',
    plans: ['free', 'pro'],
    meters: ['extract', 'fetch'],
    sells: { meter: 'extract', dimensions: { mode: 'llm' } },
    credits: '3',
  },
  {
    catalog: 'workspace',
    plans: ['free', 'studio', 'enterprise'],
    meters: ['image.assets', 'text.tokens', 'tool.run', 'video.seconds'],
    sells: { meter: 'tool.run', dimensions: { tool: 'research' } },
    credits: '12.5',
  },
  {
    catalog: 'platform',
    plans: ['free', 'professional', 'enterprise'],
    meters: [
      ...['ai.input_tokens', 'ai.output_tokens', 'bandwidth.gb', 'compute.seconds', 'data.operations'],
      'storage.gb_hours',
    ],
    sells: { meter: 'bandwidth.gb', dimensions: {} },
    credits: '0.6',
  },
];

it('every catalog is in order, says purser catalog check', async () => {
  const files = (await readdir(projectPath('catalogs'))).filter((name) => name.endsWith('.yaml')).toSorted();
  expect(files).toEqual(expect.arrayContaining(PRODUCTS.map(({ catalog }) => `${catalog}.yaml`)));
  const paths = files.map((name) => projectPath(`catalogs/${name}`));
  const cli = projectPath('dist/src/cli/main.js');
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [cli, 'catalog', 'check', ...paths]);
  expect(stdout.trimEnd().split('\n')).toEqual(
    paths.map((path) => expect.stringContaining(`${path}: ok: 4 buckets, `)),
  );
  expect(stderr).toBe('');
});

describe('a gateway with PURSER_CATALOG on a database without organizations', () => {
  it.each(PRODUCTS)('serves $catalog to its demo organization', async ({ catalog, plans, meters, sells, credits }) => {
    await using directory = await aDataDirectory();
    await using database = await createDatabase();
    await using gateway = await startProcess(directory, {
      DATABASE_URL: database.adminUrl,
      PURSER_CATALOG: projectPath(`catalogs/${catalog}.yaml`),
    });
    const { endpoint, organization, tokens } = await gateway.manifest();
    const client = createClient(endpoint, tokens.masterKey);

    const offers = await client.run(ScenarioOffersDocument, {});
    expect(offers.plans.map(({ key }) => key)).toEqual(plans);
    expect([...new Set(offers.rateCard.rates.map(({ meter }) => meter))].toSorted()).toEqual(meters);
    const wallet = async () =>
      (await client.run(WalletStateDocument, { slug: organization.slug })).organization?.wallet;
    const before = await wallet();
    expect(before?.buckets.map(({ key }) => key).toSorted()).toEqual(BUCKETS);
    const { debit } = await client.run(ScenarioDebitDocument, { input: { idempotencyKey: aKey(), usage: [sells] } });
    expect(debit).toMatchObject({ __typename: 'DebitPayload', usage: { credits } });
    expect(Number((await wallet())?.totalAvailable)).toBe(Number(before?.totalAvailable) - Number(credits));
    expect(gateway.stderr).toBe('');
  });
});
