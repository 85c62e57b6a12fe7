/**
 * How the schema engine reaches the database. Two things differ from Prisma's own adapter.
 *
 * A script is sent whole. The original splits it at every semicolon, function bodies and comments included; PostgreSQL
 * takes it as it is, and runs it in one transaction: either all of it is applied or nothing.
 *
 * The same transaction records that the migration is finished. The engine records it in a statement of its own, and a
 * process killed in between would leave a migration that is applied but counts as failed. So, under the lock that
 * migrating takes, a migration begun and not finished is one of which nothing remains, and it may be tried again.
 */
import { PrismaPg } from '@prisma/adapter-pg';
import { DriverAdapterError } from '@prisma/driver-adapter-utils';
import pg from 'pg';

type PrismaPgAdapter = Awaited<ReturnType<PrismaPg['connect']>>;

/** Undoes what the script has set for its session, on which the engine and the next script go on. */
const FINISH_MIGRATION = `
;
reset role;
reset all;
update "_prisma_migrations" set finished_at = clock_timestamp() where finished_at is null and rolled_back_at is null;`;

/** SQLSTATE of a statement that cannot be part of a transaction, such as CREATE INDEX CONCURRENTLY. */
const ACTIVE_SQL_TRANSACTION = '25001';

export interface ScriptFailure {
  readonly migration: string;
  readonly script: string;
  readonly error: unknown;
}

export class MigrationAdapterFactory extends PrismaPg {
  readonly #namesByScript: ReadonlyMap<string, string>;
  readonly #adapters: PrismaPgAdapter[] = [];
  #failure: ScriptFailure | undefined;

  /** `scripts` are the migrations by name. */
  constructor(databaseUrl: string, scripts: ReadonlyMap<string, string>) {
    // The engine's lock belongs to a connection, and so does the transaction it may open: there is only one.
    super({ connectionString: databaseUrl, max: 1 });
    this.#namesByScript = new Map([...scripts].map(([name, script]) => [script, name]));
  }

  /** PostgreSQL's own error for the script that failed; the engine passes on an excerpt. */
  get failure(): ScriptFailure | undefined {
    return this.#failure;
  }

  override async connect(): Promise<PrismaPgAdapter> {
    const adapter = await super.connect();
    adapter.executeScript = (script) => this.#execute(adapter.underlyingDriver(), script);
    this.#adapters.push(adapter);
    return adapter;
  }

  /** The engine does not end its connections. */
  async dispose(): Promise<void> {
    await Promise.all(this.#adapters.splice(0).map((adapter) => adapter.dispose()));
  }

  async #execute(pool: pg.Pool, script: string): Promise<void> {
    const migration = this.#namesByScript.get(script);
    try {
      if (migration === undefined) await pool.query(script);
      else await applyScript(pool, script);
    } catch (error) {
      // A script with a BEGIN of its own leaves its failed transaction open, and the engine could not note the failure.
      await pool.query('rollback').catch(() => undefined);
      if (migration !== undefined) this.#failure = { migration, script, error };
      throw asAdapterError(error);
    }
  }
}

async function applyScript(pool: pg.Pool, script: string): Promise<void> {
  try {
    await pool.query(script + FINISH_MIGRATION);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== ACTIVE_SQL_TRANSACTION) throw error;
    await pool.query(script);
  }
}

function asAdapterError(error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError)) return error;
  const { message, detail, column, hint, code = 'XX000', severity = 'ERROR' } = error;
  return new DriverAdapterError({
    kind: 'postgres',
    ...{ code, severity, message, detail, column, hint },
    originalCode: code,
    originalMessage: message,
  });
}
