/** `domain/` is pure and synchronous: values in, decision out. No clock, no randomness, no I/O. */

import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { projectPath } from '../../src/project-path.ts';
import { codeOf, importsOf, sourceFiles } from './source-files.ts';

const PURE_PACKAGES = ['temporal-polyfill', 'yaml', 'zod', 'node:crypto'];

/** What gives another result the next time, waits, or reaches out of the process. */
const IMPURE: readonly { readonly name: string; readonly pattern: RegExp }[] = [
  { name: 'Date.now()', pattern: /\bDate\s*\.\s*now\b/ },
  { name: 'new Date() without an argument', pattern: /\bnew\s+Date\b(?!\s*\(\s*[^)\s])/ },
  { name: 'Date() as a function', pattern: /(?<!\bnew\s)\bDate\s*\(/ },
  { name: 'Temporal.Now', pattern: /\bTemporal\s*\.\s*Now\b/ },
  { name: 'Math.random()', pattern: /\bMath\s*\.\s*random\b/ },
  { name: 'crypto randomness', pattern: /\b(random(UUID|Bytes|Int|FillSync)|getRandomValues)\s*\(/ },
  { name: 'process', pattern: /\bprocess\b\s*[.[]/ },
  { name: 'globalThis', pattern: /\bglobalThis\b/ },
  { name: 'performance', pattern: /\bperformance\s*\./ },
  { name: 'console', pattern: /\bconsole\s*\./ },
  { name: 'fetch', pattern: /\bfetch\s*\(/ },
  { name: 'a timer', pattern: /\b(setTimeout|setInterval|setImmediate|queueMicrotask)\b/ },
  { name: 'async', pattern: /\basync\b/ },
  { name: 'await', pattern: /\bawait\b/ },
  { name: 'Promise', pattern: /\bPromise(Like)?\b/ },
  { name: 'a locale of the machine', pattern: /\.(toLocale\w*|localeCompare)\s*\(/ },
  { name: 'a float parsed from text', pattern: /\bparseFloat\b/ },
];

const files = sourceFiles('domain');
const imports = files.flatMap(importsOf);

describe('the domain', () => {
  it('imports only its own files', () => {
    const outside = imports.filter(({ isPackage, to }) => !isPackage && !to.startsWith('domain/'));
    expect(outside.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
  });

  it('imports only packages without side effects', () => {
    const packages = imports.filter(({ isPackage }) => isPackage);
    expect(new Set(packages.map(({ to }) => to))).toEqual(new Set(PURE_PACKAGES));
  });

  it('takes nothing but `hash` from node:crypto', () => {
    const clauses = imports.filter(({ to }) => to === 'node:crypto').map(({ clause }) => clause);
    expect(clauses.length).toBeGreaterThan(0);
    expect(new Set(clauses)).toEqual(new Set(['{ hash }']));
  });

  it.each(IMPURE)('uses no $name', ({ pattern }) => {
    expect(files.length).toBeGreaterThan(20);
    expect(files.filter((file) => pattern.test(codeOf(file))).map(({ path }) => path)).toEqual([]);
  });

  it('keeps no state in its modules: nothing at the top level is `let` or `var`', () => {
    const stateful = files.filter((file) => /^(export\s+)?(let|var)\s/m.test(codeOf(file)));
    expect(stateful.map(({ path }) => path)).toEqual([]);
  });

  it('has a README of its invariants in every folder', () => {
    const folders = new Set(files.flatMap(({ path }) => path.split('/').slice(1, -1)));
    expect(folders.size).toBeGreaterThan(5);
    const silent = [...folders].filter((folder) => !existsSync(projectPath(`src/domain/${folder}/README.md`)));
    expect(silent).toEqual([]);
  });
});

describe('the search for impurity', () => {
  const impure: readonly [string, string][] = [
    ['Date.now()', 'const t = Date.now();'],
    ['new Date() without an argument', 'const t = new Date();'],
    ['new Date() without an argument', 'const t = new Date;'],
    ['Date() as a function', 'const t = Date();'],
    ['Math.random()', 'const r = Math.random();'],
    ['process', 'const e = process.env.X;'],
    ['a timer', 'setTimeout(() => {}, 1);'],
    ['async', 'export async function f() {}'],
    ['Promise', 'function f(): Promise<void> {}'],
  ];
  it.each(impure)('finds %s in %s', (name, text) => {
    const found = IMPURE.filter(({ pattern }) => pattern.test(codeOf({ path: 'x.ts', text })));
    expect(found.map((rule) => rule.name)).toContain(name);
  });

  it.each(['// Date.now() is not used', '/* no Promise */', "const text = 'process.env';", 'const at = new Date(5);'])(
    'leaves %s alone',
    (text) => {
      const found = IMPURE.filter(({ pattern }) => pattern.test(codeOf({ path: 'x.ts', text })));
      expect(found.map((rule) => rule.name)).toEqual([]);
    },
  );
});
