#!/usr/bin/env node
/**
 * The command line beside the gateway. Exits with 0 where a command has done what it was asked, 1 where it could not and
 * says why on the standard error, 2 where it was called wrongly. Commands are loaded when they are called: checking a file
 * needs no GraphQL.
 */
import { CommandFailed } from './command-failed.ts';

interface Command {
  /** What it is called with; "…" where that may be several, "[…]" where it may be left out, null for nothing. */
  readonly operand: string | null;
  readonly run: (operand: string, ...others: readonly string[]) => Promise<void>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  'catalog check': {
    operand: '<file>…',
    run: async (...files) => (await import('./catalog-check.ts')).checkCatalogs(files),
  },
  'catalog diff': { operand: '<file>', run: async (file) => (await import('./catalog-diff.ts')).diffCatalog(file) },
  'catalog apply': { operand: '<file>', run: async (file) => (await import('./catalog-apply.ts')).applyCatalog(file) },
  audit: { operand: null, run: async () => (await import('./audit.ts')).auditBooks() },
  verify: {
    operand: '[<wallet id, organization id or slug>]',
    run: async (name) => (await import('./verify.ts')).verifyChains(name),
  },
  schema: { operand: null, run: async () => (await import('./schema.ts')).printSchema() },
};

const USAGE = [
  'usage:',
  ...Object.entries(COMMANDS).map(([name, { operand }]) => `  purser ${name}${operand === null ? '' : ` ${operand}`}`),
  'A <file> of - is the standard input. Databases: DATABASE_URL, else the one of demo.json in PURSER_DATA_DIR.',
  '',
].join('\n');

const wordsOf = (name: string): readonly string[] => name.split(' ');

/** How many operands a command takes, at least and at most. */
function operandsOf(operand: string | null): readonly [number, number] {
  if (operand === null) return [0, 0];
  if (operand.startsWith('[')) return [0, 1];
  return operand.endsWith('…') ? [1, Number.POSITIVE_INFINITY] : [1, 1];
}

function isCalled(name: string, { operand }: Command, args: readonly string[]): boolean {
  const words = wordsOf(name);
  const operands = args.length - words.length;
  const [fewest, most] = operandsOf(operand);
  const fits = fewest <= operands && operands <= most;
  return fits && words.every((word, index) => args[index] === word);
}

async function main(args: readonly string[]): Promise<void> {
  const found = Object.entries(COMMANDS).find(([name, command]) => isCalled(name, command, args));
  if (found) {
    const [name, { run }] = found;
    const [operand = '', ...others] = args.slice(wordsOf(name).length);
    return run(operand, ...others);
  }
  const asked = args.includes('--help') || args[0] === 'help';
  (asked ? process.stdout : process.stderr).write(USAGE);
  process.exitCode = asked ? 0 : 2;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const unexpected = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const lines = error instanceof CommandFailed ? error.lines : [`purser: ${unexpected}`];
  process.stderr.write(lines.map((line) => `${line}\n`).join(''));
  process.exitCode = 1;
});
