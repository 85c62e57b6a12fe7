/**
 * The one failure this module reports: a single line that a person can act on. Whatever goes wrong with a bundled
 * server, running a PostgreSQL of one's own is a way out, so every line ends by naming it.
 */

const WAY_OUT = 'Set DATABASE_URL to use a PostgreSQL of your own.';

export class EmbeddedPostgresError extends Error {
  constructor(cause: string, options?: ErrorOptions) {
    super(`Embedded PostgreSQL: ${asSentence(cause)} ${WAY_OUT}`, options);
    this.name = 'EmbeddedPostgresError';
  }
}

/** The SQLSTATE or errno name that an error carries: the only thing about a foreign error that code decides by. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Node reports several failed addresses as one AggregateError without a message of its own; the code is then all there is. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || errorCode(error) || error.name;
}

/** A rejection handler that turns the expected codes into undefined and passes on every other failure. */
export function ignoring(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (codes.includes(errorCode(error) ?? '')) return undefined;
    throw error;
  };
}

function asSentence(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return /[.!?]$/.test(line) ? line : `${line}.`;
}
