/** An identity provider as a gateway knows it: a key set at a URL. It can be away, and answer badly. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose';

const ALGORITHMS = ['RS256', 'ES256'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** How it answers instead of giving its keys. */
export type Trouble = 'fails' | 'is silent' | 'moves on' | 'gives no JSON' | 'gives no key set';

export interface IdentityProvider extends AsyncDisposable {
  readonly jwksUrl: string;
  /** How often it was asked for its keys. */
  readonly asked: number;
  readonly keys: Readonly<Record<Algorithm, { readonly privateKey: CryptoKey; readonly publicPem: string }>>;
  /** Null where it gives its keys. */
  trouble: Trouble | null;
  takeDown(): Promise<void>;
  bringBack(): Promise<void>;
  /** A token of an hour. */
  sign(subject: string, claims?: JWTPayload, alg?: Algorithm): Promise<string>;
}

export async function anIdentityProvider(): Promise<IdentityProvider> {
  const [RS256, ES256] = await Promise.all([aKeyPair('RS256'), aKeyPair('ES256')]);
  const keys = { RS256, ES256 };
  const keySet = JSON.stringify({ keys: ALGORITHMS.map((alg) => keys[alg].jwk) });
  let asked = 0;
  let trouble: Trouble | null = null;
  const answers: Readonly<Record<Trouble, RequestListener>> = {
    fails: (_request, response) => void response.writeHead(500).end(),
    'is silent': () => undefined,
    'moves on': (_request, response) => void response.writeHead(302, { location: '/elsewhere' }).end(),
    'gives no JSON': (_request, response) => void response.end('<html>'),
    'gives no key set': (_request, response) => void response.end('{"keys":{}}'),
  };
  const server = createServer((request, response) => {
    asked += 1;
    response.setHeader('content-type', 'application/json');
    if (trouble === null) response.end(keySet);
    else answers[trouble](request, response);
  });
  const listen = async (port: number): Promise<number> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the provider has no port');
    return address.port;
  };
  const takeDown = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  const port = await listen(0);
  return {
    jwksUrl: `http://127.0.0.1:${port}/jwks.json`,
    get asked() {
      return asked;
    },
    keys,
    get trouble() {
      return trouble;
    },
    set trouble(next) {
      trouble = next;
    },
    takeDown,
    bringBack: async () => void (await listen(port)),
    sign: (subject, claims = {}, alg = 'RS256') =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg, kid: alg })
        .setSubject(subject)
        .setExpirationTime('1h')
        .sign(keys[alg].privateKey),
    [Symbol.asyncDispose]: takeDown,
  };
}

async function aKeyPair(alg: Algorithm) {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: alg, alg, use: 'sig' };
  return { privateKey, publicPem: await exportSPKI(publicKey), jwk };
}
