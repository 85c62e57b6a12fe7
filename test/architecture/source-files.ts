/** The source files under src/ and what they import, read with regular expressions: enough for code that Biome formats. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { projectPath } from '../../src/project-path.ts';

export interface SourceFile {
  /** From src/, with slashes: "graphql/types/lot.ts". */
  readonly path: string;
  readonly text: string;
}

export interface ImportedModule {
  readonly from: string;
  /** A path from src/ for files, the specifier as written for packages. */
  readonly to: string;
  readonly isPackage: boolean;
  /** True where the whole statement is erased: `import type …`. */
  readonly typeOnly: boolean;
  /** What stands between `import` and `from`. */
  readonly clause: string;
}

const STATIC = /^(?:import|export)\s+(type\s+)?(?:([^'";]*?)\s*\bfrom\s+)?'([^']+)'/gm;
const DYNAMIC = /\b(?:import|require)\(\s*['"`]([^'"`]+)['"`]/g;

/** Hand-written files; what Prisma and Pothos generate is not ours to judge. */
export function sourceFiles(folder = ''): SourceFile[] {
  const root = projectPath('src');
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
    .filter((path) => path.endsWith('.ts') && !path.startsWith('generated/'))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

export function importsOf({ path, text }: SourceFile): ImportedModule[] {
  const statics = [...text.matchAll(STATIC)].map(([, type, clause = '', specifier = '']) => ({
    specifier,
    clause,
    typeOnly: type !== undefined,
  }));
  const dynamics = [...text.matchAll(DYNAMIC)].map(([, specifier = '']) => ({
    specifier,
    clause: '',
    typeOnly: false,
  }));
  return [...statics, ...dynamics].map(({ specifier, clause, typeOnly }) => {
    const isPackage = !specifier.startsWith('.');
    const to = isPackage ? specifier : posix.join(posix.dirname(path), specifier);
    return { from: path, to, isPackage, typeOnly, clause };
  });
}

/** A file's code with comments and the contents of strings blanked out, so that words in them do not count. */
export function codeOf({ text }: SourceFile): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, ' ')
    .replace(/'(?:\\.|[^'\\\n])*'/g, "''")
    .replace(/(^|[^:])\/\/.*$/gm, '$1');
}
