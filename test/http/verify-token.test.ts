/** Tokens by the key set of an identity provider: what is the token's fault is told from what is the provider's. */
import { generateKeyPair, SignJWT } from 'jose';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { IdentityProviderUnavailable, tokenVerification } from '../../src/http/verify-token.ts';
import { anIdentityProvider, type IdentityProvider, type Trouble } from '../support/identity-provider.ts';

let provider: IdentityProvider;
beforeAll(async () => {
  provider = await anIdentityProvider();
});
afterAll(() => provider[Symbol.asyncDispose]());
afterEach(() => {
  vi.useRealTimers();
  provider.trouble = null;
});

/** Another gateway's verification, which has read no keys yet, and what it logs. */
function aVerification() {
  const log: { readonly level: number; readonly msg: string; readonly err?: { readonly message: string } }[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => log.push(JSON.parse(line)) });
  return { verify: tokenVerification({ jwtSecret: undefined, jwksUrl: provider.jwksUrl, logger }), log };
}

/** Keys are kept for ten minutes. */
const whenKeysAreOld = () => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 11 * 60_000 });

const AWAY = 'the keys of the identity provider cannot be read; tokens wait until they can';
const BACK = 'the keys of the identity provider are read again';

describe('a provider that does not give its keys', () => {
  it.each<[Trouble, RegExp]>([
    ['fails', /Expected 200 OK/],
    ['is silent', /timed out/],
    ['moves on', /Expected 200 OK/],
    ['gives no JSON', /Failed to parse/],
    ['gives no key set', /malformed/],
  ])('makes no token invalid, and the log says why: one that %s', async (trouble, cause) => {
    const { verify, log } = aVerification();
    const token = await provider.sign('somebody');
    provider.trouble = trouble;
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(verify(token)).rejects.toBeInstanceOf(IdentityProviderUnavailable);
    }
    expect(log).toEqual([expect.objectContaining({ level: 50, msg: AWAY })]);
    expect(log[0]?.err?.message).toMatch(cause);
  });

  it('makes no token invalid where nothing listens; told are the beginning and the end of it', async () => {
    const { verify, log } = aVerification();
    const token = await provider.sign('somebody');
    await provider.takeDown();
    try {
      await expect(verify(token)).rejects.toBeInstanceOf(IdentityProviderUnavailable);
    } finally {
      await provider.bringBack();
    }
    expect(await verify(token)).toMatchObject({ sub: 'somebody' });
    expect(await verify(token)).toMatchObject({ sub: 'somebody' });
    expect(log.map(({ msg }) => msg)).toEqual([AWAY, BACK]);
  });

  it('is not missed while the keys that it gave are kept', async () => {
    const { verify, log } = aVerification();
    const token = await provider.sign('somebody');
    expect(await verify(token)).toMatchObject({ sub: 'somebody' });
    provider.trouble = 'fails';
    expect(await verify(token)).toMatchObject({ sub: 'somebody' });
    expect(log).toEqual([]);
    whenKeysAreOld();
    await expect(verify(token)).rejects.toBeInstanceOf(IdentityProviderUnavailable);
  });
});

describe('a token at fault', () => {
  it('is invalid, and nothing is logged', async () => {
    const { verify, log } = aVerification();
    const { privateKey } = await generateKeyPair('RS256');
    const secret = new TextEncoder().encode('a secret that is long enough to sign tokens with');
    const expiring = new SignJWT({ sub: 'somebody' }).setExpirationTime(1);
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`;
    const rs256 = { alg: 'RS256', kid: 'RS256' };
    const tokens: Record<string, string> = {
      expired: await expiring.setProtectedHeader(rs256).sign(provider.keys.RS256.privateKey),
      'not yet valid': await provider.sign('somebody', { nbf: 4_000_000_000 }),
      'of nobody': await new SignJWT({}).setProtectedHeader(rs256).sign(provider.keys.RS256.privateKey),
      'of another key': await new SignJWT({ sub: 'somebody' }).setProtectedHeader(rs256).sign(privateKey),
      'of a key that is not in the set': await new SignJWT({ sub: 'somebody' })
        .setProtectedHeader({ alg: 'RS256', kid: 'other' })
        .sign(privateKey),
      'of a secret': await new SignJWT({ sub: 'somebody' }).setProtectedHeader({ alg: 'HS256' }).sign(secret),
      unsigned,
      'of extensions that nobody knows': `${Buffer.from('{"alg":"RS256","kid":"RS256","crit":["x"],"x":1}').toString('base64url')}.e30.AAAA`,
      'that is none': 'a.b.c',
      'without a payload': 'a.b',
    };
    for (const [name, token] of Object.entries(tokens)) expect(await verify(token), name).toBeNull();
    expect(log).toEqual([]);
  });
});
