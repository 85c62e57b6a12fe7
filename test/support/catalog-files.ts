/** Catalogs as files: the demo's, and others made from it. */
import { readFileSync } from 'node:fs';
import type { Catalog } from '../../src/domain/catalog/catalog.ts';
import { formatProblem } from '../../src/domain/catalog/locate-problems.ts';
import { parseCatalog } from '../../src/domain/catalog/parse-catalog.ts';
import { projectPath } from '../../src/project-path.ts';

export const DEMO_YAML = readFileSync(projectPath('catalogs/demo.yaml'), 'utf8');

/** The demo's catalog with each of these texts, which stand in it once, replaced. */
export function demoWith(...replacements: readonly (readonly [text: string, replacement: string])[]): string {
  return replacements.reduce((yaml, [text, replacement]) => {
    if (yaml.split(text).length !== 2) throw new Error(`the catalog does not have ${text} once`);
    return yaml.replace(text, replacement);
  }, DEMO_YAML);
}

/** Why a catalog after the demo's may not be applied: its bucket of promotional credits has become one of purchased ones. */
export const OTHER_KIND = [
  ['kind: PROMOTIONAL', 'kind: PURCHASED'],
  ['promoCodes:\n  - { code: WELCOME, credits: 100, expiresAfterDays: 30 }\n', ''],
] as const;

/** The 1-based line on which a text stands first. */
export const lineOf = (yaml: string, text: string): number =>
  yaml.split('\n').findIndex((line) => line.includes(text)) + 1;

export function parsedCatalog(yaml: string): Catalog {
  const result = parseCatalog(yaml);
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  return result.catalog;
}
