/**
 * Statements as files: `/statements/<organization's slug>/<YYYY-MM>.json` and `.csv`, for those who may read them, by the
 * credential that the endpoint takes. An organization that is not the caller's has none, like one that does not exist.
 *
 * The JSON has the content that the hash covers, byte by byte, and the hash. The CSV is for spreadsheets: amounts are exact
 * decimals, and text that a spreadsheet would take for a formula begins with an apostrophe.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { stringify } from 'csv-stringify/sync';
import { formatDecimal } from '../domain/credits/decimal.ts';
import { formatCredits } from '../domain/credits/micros.ts';
import { may } from '../domain/identity/caller.ts';
import type { StatedMovement, StatedUsage, Statement } from '../domain/statements/statement.ts';
import { parseYearMonth, type YearMonth } from '../domain/statements/year-month.ts';
import { type ReadStatement, readStatements } from '../operations/read-statements.ts';
import { findOrganizationBySlug } from '../persistence/organizations.ts';
import { REJECTED } from './authenticate.ts';
import type { EndpointOptions } from './graphql-endpoint.ts';
import { maskError } from './mask-error.ts';

const PATH = /^\/statements\/([a-z0-9-]{1,63})\/(\d{4}-\d{2})\.(csv|json)$/;

const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

interface Wanted {
  readonly slug: string;
  readonly month: YearMonth;
  readonly format: 'csv' | 'json';
}

export async function serveStatement(
  options: EndpointOptions,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const found = await findStatement(options, path, request.headers.authorization);
    if (typeof found === 'number') return refuse(response, found);
    const { wanted, read } = found;
    const type = wanted.format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/json';
    const disposition = `attachment; filename="${wanted.slug}-${wanted.month}.${wanted.format}"`;
    response.writeHead(200, { ...HEADERS, 'content-type': type, 'content-disposition': disposition });
    response.end(wanted.format === 'csv' ? statementCsv(read.statement) : statementJson(read));
  } catch (error) {
    const { extensions } = maskError(error, options);
    const { status = 500, headers = {} } = (extensions.http ?? {}) as { status?: number; headers?: object };
    refuse(response, status, headers);
  }
}

const REASONS: Readonly<Record<number, string>> = {
  401: 'sign in with a valid API key or token',
  403: 'you may not read this',
  404: 'there is no such statement',
  503: 'try again',
};

function refuse(response: ServerResponse, status: number, headers: object = {}): void {
  const challenge = status === 401 ? { 'www-authenticate': 'Bearer' } : {};
  const type = { 'content-type': 'text/plain; charset=utf-8' };
  response.writeHead(status, { ...HEADERS, ...type, ...challenge, ...headers });
  response.end(`${REASONS[status] ?? 'unexpected error'}\n`);
}

/** The statement, or the status that the request is refused with. */
async function findStatement(
  { authenticator, services }: EndpointOptions,
  path: string,
  authorization: string | undefined,
): Promise<{ readonly wanted: Wanted; readonly read: ReadStatement } | number> {
  const caller = await authenticator.authenticate(authorization);
  if (caller === REJECTED || caller.kind === 'ANONYMOUS') return 401;
  const wanted = parsePath(path);
  const organizationId = wanted === null ? null : await findOrganizationBySlug(services.sql, wanted.slug);
  if (wanted === null || organizationId === null || !may(caller, 'organization:see', organizationId)) return 404;
  if (!may(caller, 'billing:read', organizationId)) return 403;
  const filter = { month: wanted.month, year: null, monthOfYear: null, limit: 1 };
  const [[read] = []] = await readStatements(services, [organizationId], filter);
  return read === undefined ? 404 : { wanted, read };
}

function parsePath(path: string): Wanted | null {
  const [, slug = '', name = '', format] = PATH.exec(path) ?? [];
  const month = parseYearMonth(name);
  return month === undefined ? null : { slug, month, format: format === 'csv' ? 'csv' : 'json' };
}

/** The content stands there as it was hashed. */
const statementJson = ({ content, hash }: ReadStatement): string =>
  `{"content":${content},"hash":${JSON.stringify(hash)}}\n`;

const COLUMNS = [
  'month',
  'section',
  'reason_code',
  'meter',
  'model',
  'user_id',
  'project_id',
  'quantity',
  'credits',
  'count',
] as const;

type Row = Readonly<Partial<Record<(typeof COLUMNS)[number], string>>>;

function statementCsv(statement: Statement): string {
  const rows: Row[] = [
    { section: 'OPENING', credits: formatCredits(statement.opening) },
    ...statement.credited.map((movement) => movementRow('CREDITED', movement)),
    ...statement.debited.map((movement) => movementRow('DEBITED', movement)),
    { section: 'CLOSING', credits: formatCredits(statement.closing) },
    ...statement.usage.map(usageRow),
  ];
  return stringify(
    rows.map((row) => ({ month: statement.month, ...row })),
    { header: true, columns: [...COLUMNS], record_delimiter: 'windows', quoted_match: /[\r\n;]/ },
  );
}

const movementRow = (section: string, { reasonCode, credits, entries }: StatedMovement): Row => ({
  section,
  reason_code: harmless(reasonCode),
  credits: formatCredits(credits),
  count: entries.toString(),
});

const usageRow = ({ meter, model, userId, projectId, isRest, quantity, credits, events }: StatedUsage): Row => ({
  section: isRest ? 'USAGE_REST' : 'USAGE',
  meter: harmless(meter ?? ''),
  model: harmless(model ?? ''),
  user_id: harmless(userId ?? ''),
  project_id: projectId ?? '',
  quantity: quantity === null ? '' : formatDecimal(quantity),
  credits: formatCredits(credits),
  count: events.toString(),
});

/** Spreadsheets run what begins like this. */
const harmless = (text: string): string => (/^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text);
