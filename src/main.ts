/** `npm start`: runs the gateway until SIGTERM or SIGINT. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { banner, demoManifest } from './banner.ts';
import { startGateway } from './compose.ts';
import { ConfigInvalid, readConfig } from './config.ts';
import { StartupError } from './database.ts';
import { EmbeddedPostgresError } from './embedded-postgres/index.ts';
import { CatalogInvalid } from './operations/catalog-store.ts';
import { MigrationError } from './persistence/migrations/migrate.ts';

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const starting = startGateway(config);
  // A signal that comes early waits for the start to end: what has been started is stopped again.
  const stop = () => {
    starting
      .then((started) => started.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => fail(error),
      );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  const gateway = await starting;
  for (const notice of gateway.notices) process.stdout.write(`${notice}\n`);
  if (gateway.demo) {
    const path = join(config.dataDirectory, 'demo.json');
    await writeManifest(path, demoManifest(gateway, gateway.demo)).catch(async () => {
      await gateway.stop();
      throw new StartupError(`${path} cannot be written.`);
    });
  }
  process.stdout.write(banner(gateway, config));
}

/** For scripts; it holds the demo's tokens, so nobody else may read it. */
async function writeManifest(path: string, manifest: object): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
}

/** What a person can mend is one line; what is a defect shows where it happened. */
function explain(error: unknown): string {
  const isKnown = [StartupError, ConfigInvalid, EmbeddedPostgresError, MigrationError, CatalogInvalid].some(
    (kind) => error instanceof kind,
  );
  if (error instanceof Error) return isKnown ? error.message : (error.stack ?? error.message);
  return String(error);
}

function fail(error: unknown): void {
  process.stderr.write(`purser: ${explain(error)}\n`);
  process.exit(1);
}

main().catch(fail);
