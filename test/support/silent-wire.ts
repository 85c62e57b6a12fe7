/** A wire to PostgreSQL that can go silent: what comes then is taken and never answered, as behind a firewall that drops packets. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface SilentWire extends AsyncDisposable {
  /** The database's URL by way of this wire. */
  readonly url: string;
  /** Connections that came while it was silent. */
  readonly unanswered: number;
  /** Cuts what is connected, and answers nobody who comes from now on. */
  fallSilent(): void;
  /** Carries those who come from now on; those who came before stay unanswered. */
  speak(): void;
}

export async function aSilentWire(databaseUrl: string): Promise<SilentWire> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let silent = false;
  let unanswered = 0;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((client) => {
    keep(client);
    if (silent) {
      unanswered += 1;
      client.resume();
      return;
    }
    const upstream = keep(connect(Number(target.port), target.hostname));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.pipe(upstream).pipe(client);
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
    get unanswered() {
      return unanswered;
    },
    fallSilent() {
      silent = true;
      for (const socket of sockets) socket.destroy();
    },
    speak() {
      silent = false;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
