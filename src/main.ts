/** `npm start`: runs the gateway until SIGTERM or SIGINT. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { banner, demoManifest } from './banner.ts';
import { startGateway } from './compose.ts';
import { ConfigInvalid, readConfig } from './config.ts';
import { StartupError } from './database.ts';
import { EmbeddedPostgresError } from './embedded-postgres/index.ts';
import { MigrationError } from './persistence/migrate.ts';

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const gateway = await startGateway(config);
  const stop = () => {
    gateway.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        gateway.logger.fatal({ err: error }, 'the gateway did not stop cleanly');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  for (const notice of gateway.notices) process.stdout.write(`${notice}\n`);
  if (gateway.demo) {
    const path = join(config.dataDirectory, 'demo.json');
    await mkdir(config.dataDirectory, { recursive: true });
    await writeFile(path, `${JSON.stringify(demoManifest(gateway, gateway.demo), null, 2)}\n`, { mode: 0o600 });
  }
  process.stdout.write(banner(gateway, config));
}

/** What a person can mend is one line; what is a defect shows where it happened. */
function explain(error: unknown): string {
  const isKnown = [StartupError, ConfigInvalid, EmbeddedPostgresError, MigrationError].some(
    (kind) => error instanceof kind,
  );
  if (error instanceof Error) return isKnown ? error.message : (error.stack ?? error.message);
  return String(error);
}

main().catch((error: unknown) => {
  process.stderr.write(`purser: ${explain(error)}\n`);
  process.exit(1);
});
