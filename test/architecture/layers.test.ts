/**
 * Who may import whom. The layers are those of docs and design: main → http → graphql → operations → (payments, webhooks, posting)
 * → persistence → domain; jobs stand beside http. A layer may import what stands in its line of the table and nothing else.
 */
import { describe, expect, it } from 'vitest';
import { codeOf, type ImportedModule, importsOf, sourceFiles } from './source-files.ts';

/** Units at the top of src/: a folder, or "main" for the files that stand there themselves. */
type Unit =
  | 'main'
  | 'cli'
  | 'http'
  | 'jobs'
  | 'graphql'
  | 'demo'
  | 'operations'
  | 'payments'
  | 'webhooks'
  | 'posting'
  | 'persistence'
  | 'domain'
  | 'embedded-postgres'
  | 'generated';

/** `type` allows `import type` only: the shape may be known, the code may not be called. */
const ALLOWED: Readonly<Record<Exclude<Unit, 'generated'>, Readonly<Partial<Record<Unit, 'value' | 'type'>>>>> = {
  main: {
    http: 'value',
    jobs: 'value',
    graphql: 'value',
    demo: 'value',
    operations: 'value',
    payments: 'value',
    webhooks: 'value',
    posting: 'value',
    persistence: 'value',
    'embedded-postgres': 'value',
  },
  // Composes as main does.
  cli: { main: 'value', graphql: 'value', operations: 'value', persistence: 'value', domain: 'value' },
  http: {
    graphql: 'value',
    operations: 'value',
    payments: 'value',
    posting: 'value',
    persistence: 'value',
    domain: 'value',
  },
  jobs: { operations: 'value', persistence: 'value', domain: 'value' },
  graphql: { operations: 'value', persistence: 'value', domain: 'value', generated: 'value' },
  demo: { operations: 'value', persistence: 'value', domain: 'value' },
  operations: { payments: 'type', webhooks: 'type', posting: 'type', persistence: 'value', domain: 'value' },
  payments: { persistence: 'value', domain: 'value' },
  webhooks: { domain: 'value' },
  posting: { persistence: 'value', domain: 'value' },
  persistence: { domain: 'value', generated: 'value' },
  domain: {},
  'embedded-postgres': {},
};

/** The main-level files, each with the others that it may import. */
const MAIN_FILES: Readonly<Record<string, readonly string[]>> = {
  'main.ts': ['banner.ts', 'compose.ts', 'config.ts', 'database.ts', 'project-path.ts'],
  'compose.ts': ['config.ts', 'database.ts', 'new-id.ts', 'project-path.ts'],
  'banner.ts': ['compose.ts', 'config.ts'],
  'database.ts': ['config.ts', 'project-path.ts'],
  'config.ts': [],
  'new-id.ts': [],
  'project-path.ts': [],
};

/** Packages that only these units may import: all SQL and Prisma is in persistence. */
const PACKAGE_HOMES: readonly { readonly packages: RegExp; readonly units: readonly Unit[] }[] = [
  { packages: /^pg$/, units: ['persistence', 'embedded-postgres', 'main'] },
  { packages: /^@prisma\//, units: ['persistence'] },
  { packages: /^@pothos\/|^graphql-(middleware|shield)$/, units: ['graphql'] },
  { packages: /^graphql$/, units: ['graphql', 'http'] },
  { packages: /^dataloader$/, units: ['graphql', 'http', 'operations'] },
  { packages: /^(graphql-yoga|graphql-ws|ws|@graphql-yoga\/(?!redis-).*|@escape\.tech\/.*)$/, units: ['http'] },
  { packages: /^(ioredis|@graphql-yoga\/redis-event-target)$/, units: ['persistence'] },
  { packages: /^graphile-worker$/, units: ['jobs'] },
  { packages: /^csv-stringify/, units: ['http'] },
  { packages: /^node:http$/, units: ['http', 'main', 'webhooks'] },
  { packages: /^(node:https|request-filtering-agent)$/, units: ['webhooks'] },
  { packages: /^jose$/, units: ['http', 'demo'] },
  { packages: /^stripe$/, units: ['payments'] },
  { packages: /^standardwebhooks$/, units: ['payments', 'http', 'webhooks'] },
  { packages: /^node:child_process$/, units: ['embedded-postgres'] },
  { packages: /^(yaml|temporal-polyfill)$/, units: ['domain'] },
];

/** Modules that change the books or decide about them belong to the engine alone. */
const ENGINE_ONLY = [
  'persistence/batch/write-batch.ts',
  'persistence/batch/load-batch.ts',
  'domain/posting/decide-charge.ts',
  'domain/posting/transitions.ts',
];

const files = sourceFiles();
const imports = files.flatMap(importsOf);
const internal = imports.filter(({ isPackage }) => !isPackage);

function unitOf(path: string): Unit {
  const [first = '', ...rest] = path.split('/');
  return rest.length === 0 ? 'main' : (first as Unit);
}

const say = ({ from, to, typeOnly }: ImportedModule): string => `${from} imports ${typeOnly ? 'types of ' : ''}${to}`;

function isAllowed({ from, to, typeOnly }: ImportedModule): boolean {
  const [importer, imported] = [unitOf(from), unitOf(to)];
  if (importer === 'generated') return true;
  if (importer === 'main' && imported === 'main') return MAIN_FILES[from]?.includes(to) ?? false;
  if (importer === imported) return true;
  const allowed = ALLOWED[importer][imported];
  return allowed === 'value' || (allowed === 'type' && typeOnly);
}

/** A part of the domain: a folder of it, or a file that stands beside them. */
const partOf = (path: string): string => path.split('/')[1] ?? path;

/** The first cycle among these; null where there is none. */
function cycleAmong(edges: readonly Pick<ImportedModule, 'from' | 'to'>[]): string[] | null {
  const targets = new Map<string, string[]>();
  for (const { from, to } of edges) targets.set(from, [...(targets.get(from) ?? []), to]);
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): string[] | null => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const target of targets.get(file) ?? []) {
      const cycle = visit(target, [...trail, file]);
      if (cycle) return cycle;
    }
    done.add(file);
    return null;
  };
  for (const file of targets.keys()) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return null;
}

describe('layers', () => {
  it('are all known: nothing stands at the top of src/ that the table does not name', () => {
    const units = new Set(files.map(({ path }) => unitOf(path)));
    expect([...units].filter((unit) => !Object.hasOwn(ALLOWED, unit))).toEqual([]);
    const topLevel = files.filter(({ path }) => !path.includes('/')).map(({ path }) => path);
    expect(topLevel.filter((path) => !Object.hasOwn(MAIN_FILES, path))).toEqual([]);
  });

  it('import only what stands below them', () => {
    expect(internal.filter((edge) => !isAllowed(edge)).map(say)).toEqual([]);
  });

  it('let every permission of the table be used by somebody, so that it stays as strict as the code', () => {
    const unused = Object.entries(ALLOWED).flatMap(([importer, targets]) =>
      Object.keys(targets)
        .filter(
          (imported) =>
            importer !== 'cli' && !internal.some((e) => unitOf(e.from) === importer && unitOf(e.to) === imported),
        )
        .map((imported) => `${importer} → ${imported}`),
    );
    expect(unused).toEqual([]);
  });

  it('let only main-level files use the embedded PostgreSQL', () => {
    const users = internal.filter(
      ({ from, to }) => unitOf(to) === 'embedded-postgres' && unitOf(from) !== 'embedded-postgres',
    );
    expect(users.length).toBeGreaterThan(0);
    expect(users.filter(({ from }) => unitOf(from) !== 'main').map(say)).toEqual([]);
    expect(users.filter(({ to }) => to !== 'embedded-postgres/index.ts').map(say)).toEqual([]);
  });

  it('see generated Prisma types only in persistence and graphql', () => {
    const users = internal.filter(({ to }) => unitOf(to) === 'generated').map(({ from }) => unitOf(from));
    expect([...new Set(users)].sort()).toEqual(['graphql', 'persistence']);
  });

  it('leave loading, writing and deciding of batches to the posting engine', () => {
    const outsiders = internal.filter(
      ({ from, to }) => ENGINE_ONLY.includes(to) && unitOf(from) !== 'posting' && !from.startsWith('domain/posting/'),
    );
    expect(outsiders.map(say)).toEqual([]);
    const deciders = files.filter(({ text }) => /\bdecideBatch\(/.test(text)).map(({ path }) => path);
    expect(deciders).toEqual(['domain/posting/decide-batch.ts', 'posting/run-batch.ts']);
  });

  it('keep each package in its home', () => {
    const strays = imports
      .filter(({ isPackage }) => isPackage)
      .filter(({ from, to }) =>
        PACKAGE_HOMES.some(({ packages, units }) => packages.test(to) && !units.includes(unitOf(from))),
      );
    expect(strays.map(say)).toEqual([]);
  });

  it('speak SQL only in persistence', () => {
    const speakers = files.filter(({ text }) => /\b(?:sql|connection)(?:<[^`]*?>)?`/.test(text));
    expect(speakers.length).toBeGreaterThan(10);
    expect(speakers.map(({ path }) => path).filter((path) => unitOf(path) !== 'persistence')).toEqual([]);
  });

  it('open single connections to PostgreSQL in one way', () => {
    const openers = files.filter((file) => /\bnew (?:pg\.)?Client\(/.test(codeOf(file))).map(({ path }) => path);
    expect(openers.toSorted()).toEqual(['embedded-postgres/connection.ts', 'persistence/client.ts']);
  });

  it('read the environment only in main-level files and the command line', () => {
    const readers = files.filter((file) => /\bprocess\.(env|argv|exit)\b/.test(codeOf(file))).map(({ path }) => path);
    expect(readers.filter((path) => !['main', 'cli', 'embedded-postgres'].includes(unitOf(path)))).toEqual([]);
  });

  it('import no file in a circle at run time, outside the types of the schema', () => {
    const edges = internal.filter(({ from, typeOnly }) => unitOf(from) !== 'graphql' && !typeOnly);
    expect(cycleAmong(edges)).toBeNull();
  });

  it('let no part of the domain know another that knows it, not even by its types', () => {
    const edges = internal
      .filter(({ from, to }) => unitOf(from) === 'domain' && unitOf(to) === 'domain')
      .map(({ from, to }) => ({ from: partOf(from), to: partOf(to) }))
      .filter(({ from, to }) => from !== to);
    expect(edges.length).toBeGreaterThan(0);
    expect(cycleAmong(edges)).toBeNull();
  });
});
