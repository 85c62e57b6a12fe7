/** A wire to PostgreSQL that can be cut at the worst moment: after a COMMIT took effect, before its answer arrives. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface LossyWire extends AsyncDisposable {
  /** The database's URL by way of this wire. */
  readonly url: string;
  /** Answers to COMMIT that were lost. */
  readonly lost: number;
  /** The next answer to a COMMIT is lost together with its connection. */
  loseNextCommit(): void;
}

/** The command tag with which PostgreSQL answers. */
const COMMITTED = Buffer.from('COMMIT\0');

export async function aLossyWire(databaseUrl: string): Promise<LossyWire> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let lose = false;
  let lost = 0;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((client) => {
    keep(client);
    const upstream = keep(connect(Number(target.port), target.hostname));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => {
      if (lose && chunk.includes(COMMITTED)) {
        lose = false;
        lost += 1;
        client.destroy();
        return;
      }
      client.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the wire has no port');
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(address.port);
  return {
    url: url.toString(),
    get lost() {
      return lost;
    },
    loseNextCommit() {
      lose = true;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
