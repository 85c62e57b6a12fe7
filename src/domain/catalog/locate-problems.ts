/** Problems of a catalog, and the line of its YAML that each of them stands on. */
import { type Document, isMap, isNode, isScalar, type LineCounter } from 'yaml';

export interface CatalogProblem {
  /** 1-based line of the file. */
  readonly line: number;
  /** Where in the document: "plans.0.price". */
  readonly path: string;
  readonly message: string;
}

/** Where in a document: ["plans", 0, "price"]. */
export type Path = readonly PropertyKey[];

/** A problem whose line is not known yet. */
export type Problem = { readonly path: Path; readonly message: string };

export function formatProblem({ line, path, message }: CatalogProblem): string {
  return `line ${line}: ${path === '' ? '' : `${path}: `}${message}`;
}

/** The line of what the problem is about; where it is not there, of the nearest thing around it. */
export function located({ path, message }: Problem, parsed: Document, lines: LineCounter): CatalogProblem {
  const text = path.map(String).join('.');
  for (let length = path.length; length >= 0; length--) {
    const position = keyPosition(parsed, path.slice(0, length)) ?? nodePosition(parsed, path.slice(0, length));
    if (position !== undefined) return { line: lines.linePos(position).line, path: text, message };
  }
  return { line: 1, path: text, message };
}

/** Where the key of a pair stands. */
function keyPosition(parsed: Document, path: Path): number | undefined {
  const parent = path.length === 1 ? parsed.contents : parsed.getIn(path.slice(0, -1), true);
  if (path.length === 0 || !isMap(parent)) return undefined;
  const pair = parent.items.find(({ key: name }) => isScalar(name) && name.value === path.at(-1));
  return isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
}

function nodePosition(parsed: Document, path: Path): number | undefined {
  const node = path.length === 0 ? parsed.contents : parsed.getIn(path, true);
  return isNode(node) ? node.range?.[0] : undefined;
}
