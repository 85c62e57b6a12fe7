/** Catalogs as the command line names them. */
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { CommandFailed } from './command-failed.ts';

/** The text of a file, or of the standard input for "-". */
export function readCatalog(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  return readFile(file, 'utf8').catch(() => {
    throw new CommandFailed([`purser: the catalog ${file} cannot be read.`]);
  });
}

/** "catalogs/demo.yaml: line 5: …", as editors and terminals find it. */
export function refusedCatalog(file: string, problems: readonly string[]): CommandFailed {
  const name = file === '-' ? 'standard input' : file;
  return new CommandFailed(problems.map((problem) => `${name}: ${problem}`));
}
