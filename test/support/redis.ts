/** A Redis of a test's own, on a port that nothing else listens at. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { Redis } from 'ioredis';
import { aFreePort } from './process-gateway.ts';
import { eventually } from './process-posting.ts';

export const REDIS_IS_INSTALLED = spawnSync('redis-server', ['--version']).status === 0;

export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** As a crash would end it. */
  kill(): Promise<void>;
}

export async function startRedis(port?: number): Promise<TestRedis> {
  const listening = port ?? (await aFreePort());
  const options = ['--bind', '127.0.0.1', '--port', String(listening), '--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', options, { cwd: tmpdir(), stdio: 'ignore' });
  const ended = once(child, 'exit');
  await eventually(() => answers(listening, child), 'Redis answers');
  const kill = async () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      process.kill(child.pid, 'SIGKILL');
    }
    await ended;
  };
  return { url: `redis://127.0.0.1:${listening}`, port: listening, kill, [Symbol.asyncDispose]: kill };
}

async function answers(port: number, { exitCode }: ChildProcess): Promise<boolean> {
  if (exitCode !== null) throw new Error(`redis-server ended with ${exitCode}`);
  const client = new Redis(port, '127.0.0.1', {
    lazyConnect: true,
    retryStrategy: () => null,
    enableOfflineQueue: false,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    client.disconnect();
  }
}
