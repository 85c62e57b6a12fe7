/** `purser` on the command line, as a person or a deployment calls it: what it prints, and how it ends. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectPath } from '../../src/project-path.ts';
import { DebitDocument } from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { DEMO_YAML, demoWith, lineOf, OTHER_KIND } from '../support/catalog-files.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization } from '../support/given.ts';
import { createEmptyDatabase, urlWith } from '../support/process-database.ts';
import { aFreePort } from '../support/process-gateway.ts';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface CallOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
}

async function run(command: readonly string[], { env = {}, cwd, input }: CallOptions = {}): Promise<Ended> {
  const [program = '', ...args] = command;
  const { PATH, HOME } = process.env;
  const child = spawn(program, args, { cwd: cwd ?? directory, env: { PATH, HOME, ...env }, stdio: 'pipe' });
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  child.stdin.on('error', () => undefined).end(input ?? '');
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

const purser = (args: readonly string[], options?: CallOptions): Promise<Ended> =>
  run([process.execPath, projectPath('dist/src/cli/main.js'), ...args], options);

/** Without any PURSER_DATA_DIR in it. */
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'purser-cli-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function aFile(content: string): Promise<string> {
  const path = join(directory, `${aKey()}.yaml`);
  await writeFile(path, content);
  return path;
}

const DEMO = projectPath('catalogs/demo.yaml');
const FAULTY = demoWith(
  ['burnPriority: 40', 'burnPriority: high'],
  ['unit: page, credits: 1.5', 'unit: page, credits: dear'],
);

describe('purser catalog check', () => {
  it('says that a catalog is in order, without any database', async () => {
    const counted = /^ok: 4 buckets, 3 plans, 3 packages, \d+ rates\n$/;
    const ended = await purser(['catalog', 'check', DEMO]);
    expect(ended).toEqual({ code: 0, stdout: expect.stringMatching(counted), stderr: '' });
    expect(await purser(['catalog', 'check', '-'], { input: DEMO_YAML })).toEqual(ended);
  });

  it('names each problem with the file and its line', async () => {
    const file = await aFile(FAULTY);
    const { code, stdout, stderr } = await purser(['catalog', 'check', file]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toEqual([
      expect.stringContaining(`${file}: line ${lineOf(FAULTY, 'burnPriority: high')}: buckets.3.burnPriority: `),
      expect.stringContaining(`${file}: line ${lineOf(FAULTY, 'meter: crawl')}: rates.3.credits: `),
    ]);
    const piped = await purser(['catalog', 'check', '-'], { input: FAULTY });
    expect(piped).toEqual({ code: 1, stdout: '', stderr: stderr.replaceAll(file, 'standard input') });
  });

  it('takes several files and names each: all that are in order, and the problems of all the others', async () => {
    const faulty = await aFile(FAULTY);
    const { code, stdout, stderr } = await purser(['catalog', 'check', faulty, DEMO, '/nowhere.yaml']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringMatching(/^\S+\/demo\.yaml: ok: [^\n]+\n$/) });
    expect(stderr.trimEnd().split('\n')).toEqual([
      expect.stringContaining(`${faulty}: line `),
      expect.stringContaining(`${faulty}: line `),
      'purser: the catalog /nowhere.yaml cannot be read.',
    ]);
  });

  it('says so where there is no such file', async () => {
    expect(await purser(['catalog', 'check', 'missing.yaml'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'purser: the catalog missing.yaml cannot be read.\n',
    });
  });

  it('is found by npx in the folder of the project', async () => {
    const { code, stdout } = await run(['npx', 'purser', 'catalog', 'check', 'catalogs/demo.yaml'], {
      cwd: projectPath('.'),
      env: { npm_config_offline: 'true' },
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^ok: /) });
  });
});

describe('purser called wrongly', () => {
  it.each([
    [[]],
    [['catalog']],
    [['catalog', 'check']],
    [['catalog', 'eat', 'x']],
    [['schema', 'x']],
    [['constructor']],
  ])('with %j tells how it is called', async (args) => {
    const { code, stdout, stderr } = await purser(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^usage:\n {2}purser catalog check <file>…\n/);
  });

  it('with --help tells the same, which is no mistake', async () => {
    expect(await purser(['--help'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^usage:/), stderr: '' });
  });
});

describe('purser schema', () => {
  it('prints the schema that the gateway serves', async () => {
    const { code, stdout } = await purser(['schema']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: await readFile(projectPath('schema.graphql'), 'utf8') });
  });
});

describe('on a database that a gateway serves', () => {
  let gateway: TestGateway;
  let env: NodeJS.ProcessEnv;
  const changed = demoWith(
    ['match: { render_js: true }, credits: 2', 'match: { render_js: true }, credits: 2.5'],
    ['amountMinor: 2900', 'amountMinor: 3100'],
    ['description: For heavy use.', 'description: ""'],
  );
  /** The values stand below each other. */
  const CHANGES = [
    'plans.scale.description:                For heavy use. -> ""',
    'plans.team.price.amountMinor:           2900 -> 3100',
    'rates.scrape{"render_js":true}.credits: 2 -> 2.5',
  ];
  beforeAll(async () => {
    gateway = await startTestGateway();
    env = { DATABASE_URL: gateway.gateway.databaseUrl };
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  const versions = async () =>
    query(gateway.database, 'SELECT version, applied_by FROM catalog_version ORDER BY version');

  it('diff says that nothing differs', async () => {
    expect(await purser(['catalog', 'diff', DEMO], { env })).toEqual({ code: 0, stdout: 'no changes\n', stderr: '' });
  });

  it('diff shows what applying would change, and changes nothing', async () => {
    expect(await purser(['catalog', 'diff', await aFile(changed)], { env })).toEqual({
      code: 0,
      stdout: `${CHANGES.join('\n')}\n`,
      stderr: '',
    });
    expect(await versions()).toHaveLength(1);
  });

  it('apply puts the catalog in force, for the gateway’s very next charge', async () => {
    const { client } = await anOrganization(gateway, { credits: { purchased: '100' } });
    const { code, stdout, stderr } = await purser(['catalog', 'apply', '-'], { env, input: changed });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.trimEnd().split('\n')).toEqual([
      ...CHANGES,
      expect.stringMatching(/^applied: version 2, whose rates price usage from \d{4}-\S+Z on$/),
    ]);
    const usage = [{ meter: 'scrape', dimensions: { render_js: true } }];
    const { debit } = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), usage } });
    expect(debit).toMatchObject({ __typename: 'DebitPayload', usage: { credits: '2.5' } });
    expect(await versions()).toEqual([
      { version: 1, applied_by: 'start' },
      { version: 2, applied_by: 'cli' },
    ]);
    expect(
      await query(
        gateway.database,
        `SELECT actor_kind, actor_id FROM audit_record WHERE action = 'applyCatalog' ORDER BY id DESC LIMIT 1`,
      ),
    ).toEqual([{ actor_kind: 'SYSTEM', actor_id: 'cli' }]);
  });

  it('apply stores no version where nothing differs', async () => {
    const before = await versions();
    const { code, stdout } = await purser(['catalog', 'apply', await aFile(changed)], { env });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^no changes\nin force: version 2, /) });
    expect(await versions()).toEqual(before);
  });

  it.each(['diff', 'apply'])('%s refuses what may not be applied, with its line', async (command) => {
    const before = await versions();
    const file = await aFile(demoWith(...OTHER_KIND));
    const { code, stdout, stderr } = await purser(['catalog', command, file], { env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`${file}: line ${lineOf(DEMO_YAML, 'key: promotional')}: buckets.1.kind: `);
    expect(await versions()).toEqual(before);
  });

  it('is found by demo.json where the environment names none', async () => {
    const manifest = JSON.stringify({ databaseUrl: gateway.gateway.databaseUrl });
    const place = await mkdtemp(join(directory, 'data-'));
    await writeFile(join(place, 'demo.json'), manifest);
    const named = await purser(['catalog', 'diff', await aFile(changed)], { env: { PURSER_DATA_DIR: place } });
    expect(named).toEqual({ code: 0, stdout: 'no changes\n', stderr: '' });
  });
});

describe('without a database that works', () => {
  const complaint = async (env: NodeJS.ProcessEnv): Promise<string> => {
    const { code, stdout, stderr } = await purser(['catalog', 'diff', DEMO], { env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^purser: [^\n]+\n$/);
    return stderr;
  };

  it('one line says which there could be', async () => {
    expect(await complaint({})).toMatch(/DATABASE_URL.*\.purser.demo\.json/);
  });

  it('one line says which cannot be reached, or is none', async () => {
    const url = `postgres://someone:secret@127.0.0.1:${await aFreePort()}/purser`;
    const unreachable = await complaint({ DATABASE_URL: url });
    expect(unreachable).toMatch(/cannot be reached/);
    expect(unreachable).not.toContain('secret');
    expect(await complaint({ DATABASE_URL: 'mysql://somewhere' })).toMatch(/DATABASE_URL/);
    const place = await mkdtemp(join(directory, 'data-'));
    await writeFile(join(place, 'demo.json'), '{}');
    expect(await complaint({ PURSER_DATA_DIR: place })).toMatch(/demo\.json/);
  });

  it('one line says that it has no tables, or refuses the password', async () => {
    await using empty = await createEmptyDatabase();
    expect(await complaint({ DATABASE_URL: empty.adminUrl })).toMatch(/no tables of Purser/);
    expect(await complaint({ DATABASE_URL: urlWith(empty.adminUrl, { password: 'wrong' }) })).toMatch(/password/);
  });
});
