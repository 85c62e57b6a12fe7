/** One attempt: signed, bounded, and never to where it may not go. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { instant } from '../../src/domain/time/instant.ts';
import { SecretSeal } from '../../src/webhooks/secret-seal.ts';
import { HttpWebhookSender, type HttpWebhookSenderOptions } from '../../src/webhooks/sender.ts';

const ENDPOINT = 'endpoint';

function aSender(options: Partial<HttpWebhookSenderOptions> = {}): HttpWebhookSender {
  return new HttpWebhookSender({
    installationKey: async () => 'key',
    targets: 'LOOPBACK',
    httpsOnly: false,
    ...options,
  });
}

async function attempt(
  url: string,
  options: Partial<HttpWebhookSenderOptions> = {},
  signal = new AbortController().signal,
) {
  const sender = aSender(options);
  const { sealed } = await sender.newSecret(ENDPOINT);
  const message = { endpointId: ENDPOINT, url, eventId: 'event', payload: '{}', secrets: [sealed], at: instant(0) };
  return sender.send(message, signal);
}

/** Runs `work` with the port of a server that answers so, and says how often somebody connected to it. */
async function withServer(answer: RequestListener, work: (port: number) => Promise<void>): Promise<number> {
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume();
    answer(request, response);
  });
  server.on('connection', () => {
    asked += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return asked;
}

const NO_ANSWER = { status: null, retryAfterMilliseconds: null };

describe('an attempt', () => {
  it('is answered with the status', async () => {
    await withServer(
      (_request, response) => response.writeHead(201).end('created'),
      async (port) => expect(await attempt(`http://127.0.0.1:${port}`)).toEqual({ ...NO_ANSWER, status: 201 }),
    );
  });

  it.each(['localhost', '127.0.0.1'])('at %s is not made where public addresses alone are allowed', async (host) => {
    const asked = await withServer(
      (_request, response) => response.end(),
      async (port) => expect(await attempt(`http://${host}:${port}`, { targets: 'PUBLIC' })).toEqual(NO_ANSWER),
    );
    expect(asked).toBe(0);
  });

  it('over TLS is judged the same', async () => {
    const asked = await withServer(
      (_request, response) => response.end(),
      async (port) => expect(await attempt(`https://localhost:${port}`, { targets: 'PUBLIC' })).toEqual(NO_ANSWER),
    );
    expect(asked).toBe(0);
  });

  it('does not follow a redirect', async () => {
    const asked = await withServer(
      (_request, response) => response.writeHead(307, { location: '/elsewhere' }).end(),
      async (port) => expect(await attempt(`http://localhost:${port}`)).toMatchObject({ status: 307 }),
    );
    expect(asked).toBe(1);
  });

  it('ends without an answer when its time is up', async () => {
    await withServer(
      () => undefined,
      async (port) => {
        expect(await attempt(`http://127.0.0.1:${port}`, { timeoutMilliseconds: 50 })).toEqual(NO_ANSWER);
      },
    );
  });

  it('counts by the head of an answer whose body does not end', async () => {
    await withServer(
      (_request, response) => void response.writeHead(200).write('on and on'),
      async (port) => {
        expect(await attempt(`http://127.0.0.1:${port}`, { timeoutMilliseconds: 200 })).toMatchObject({ status: 200 });
      },
    );
  });

  it('does not read an answer of any length', async () => {
    let cut: () => void = () => undefined;
    const isCut = new Promise<void>((resolve) => {
      cut = resolve;
    });
    await withServer(
      (_request, response) => {
        const write = () => {
          while (!response.destroyed && response.write('x'.repeat(65_536)));
        };
        response.on('drain', write);
        response.on('close', cut);
        response.writeHead(200);
        write();
      },
      async (port) => {
        expect(await attempt(`http://127.0.0.1:${port}`)).toMatchObject({ status: 200 });
        await isCut;
      },
    );
  });

  it('that is aborted ends without an answer, also before it has begun', async () => {
    expect(await attempt('http://127.0.0.1:9', {}, AbortSignal.abort())).toEqual(NO_ANSWER);
  });

  it.each([
    ['120', 120_000],
    ['0', null],
    ['-5', null],
    ['soon', null],
    ['Thu, 01 Jan 1970 00:00:00 GMT', null],
  ])('reads Retry-After: %s', async (header, retryAfterMilliseconds) => {
    await withServer(
      (_request, response) => response.writeHead(503, { 'retry-after': header }).end(),
      async (port) =>
        expect(await attempt(`http://127.0.0.1:${port}`)).toEqual({ status: 503, retryAfterMilliseconds }),
    );
  });
});

describe('a sealed secret', () => {
  it('is opened by its key for its endpoint, and by nothing else', () => {
    const seal = new SecretSeal('key');
    const sealed = seal.seal('whsec_secret', ENDPOINT);
    expect(new SecretSeal('key').open(sealed, ENDPOINT)).toBe('whsec_secret');
    expect(() => new SecretSeal('another key').open(sealed, ENDPOINT)).toThrow();
    expect(() => seal.open(sealed, 'another endpoint')).toThrow();
    const damaged = Buffer.from(sealed);
    damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1);
    expect(() => seal.open(damaged, ENDPOINT)).toThrow();
  });

  it('looks different every time', () => {
    const seal = new SecretSeal('key');
    expect(seal.seal('whsec_secret', ENDPOINT).equals(seal.seal('whsec_secret', ENDPOINT))).toBe(false);
  });
});
