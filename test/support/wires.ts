/** Wires to PostgreSQL that fail as networks do: cut at the worst moment, or silent. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

interface Wire extends AsyncDisposable {
  /** The database's URL by way of this wire. */
  readonly url: string;
}

export interface LossyWire extends Wire {
  /** Answers to COMMIT that were lost. */
  readonly lost: number;
  /** The next answer to a COMMIT is lost together with its connection. */
  loseNextCommit(): void;
}

export interface SilentWire extends Wire {
  /** Connections that came while it was silent. */
  readonly unanswered: number;
  /** Cuts what is connected, and answers nobody who comes from now on. */
  fallSilent(): void;
  /** Carries those who come from now on; those who came before stay unanswered. */
  speak(): void;
}

/** The command tag with which PostgreSQL answers. */
const COMMITTED = Buffer.from('COMMIT\0');

/** Cut after a COMMIT took effect, before its answer arrives. */
export async function aLossyWire(databaseUrl: string): Promise<LossyWire> {
  let lose = false;
  let lost = 0;
  const wire = await aWire(databaseUrl, (client, reach) => {
    const upstream = reach();
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
  return {
    ...wire,
    get lost() {
      return lost;
    },
    loseNextCommit() {
      lose = true;
    },
  };
}

/** What comes while it is silent is taken and never answered, as behind a firewall that drops packets. */
export async function aSilentWire(databaseUrl: string): Promise<SilentWire> {
  let silent = false;
  let unanswered = 0;
  const wire = await aWire(databaseUrl, (client, reach) => {
    if (silent) {
      unanswered += 1;
      client.resume();
    } else {
      client.pipe(reach()).pipe(client);
    }
  });
  return {
    ...wire,
    get unanswered() {
      return unanswered;
    },
    fallSilent() {
      silent = true;
      wire.cut();
    },
    speak() {
      silent = false;
    },
  };
}

/** `carry` is given who connects, and how to reach the database: a connection that ends with theirs. */
async function aWire(
  databaseUrl: string,
  carry: (client: Socket, reach: () => Socket) => void,
): Promise<Wire & { cut(): void }> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((client) => {
    keep(client);
    carry(client, () => {
      const upstream = keep(connect(Number(target.port), target.hostname));
      client.on('close', () => upstream.destroy());
      upstream.on('close', () => client.destroy());
      return upstream;
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
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
