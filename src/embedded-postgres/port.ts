/**
 * The server listens on a free port of the loopback address. It keeps its port from one start to the next where it can,
 * so that a connection URL someone wrote down stays true.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

const PORT_FILE = 'port';

export async function choosePort(directory: string): Promise<number> {
  const previous = Number.parseInt(await readFile(join(directory, PORT_FILE), 'utf8').catch(() => ''), 10);
  if (previous > 0 && previous < 65_536 && (await isFree(previous))) return previous;
  return listenBriefly(0);
}

export async function rememberPort(directory: string, port: number): Promise<void> {
  await writeFile(join(directory, PORT_FILE), `${port}\n`);
}

export async function isFree(port: number): Promise<boolean> {
  return listenBriefly(port).then(
    () => true,
    () => false,
  );
}

function listenBriefly(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : port));
    });
  });
}
