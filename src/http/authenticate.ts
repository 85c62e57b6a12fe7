/**
 * Turns the Authorization header into a caller. Credentials are looked up for every request, those that arrive during one
 * look-up together in the next, so that a revoked key or removed member is refused at once. Every bad credential is answered alike.
 */
import DataLoader from 'dataloader';
import { decodeJwt, type JWTPayload } from 'jose';
import { hashSecret, looksLikeSecret } from '../domain/identity/api-key-secret.ts';
import { ANONYMOUS, type Caller, type CallerMembership } from '../domain/identity/caller.ts';
import { findKeys, findMemberships, type KeyRecord, rememberUser, touchKeys } from '../persistence/callers.ts';
import type { Sql } from '../persistence/connection.ts';
import {
  IdentityProviderUnavailable,
  tokenVerification,
  type VerificationOptions,
  type VerifyToken,
} from './verify-token.ts';

export interface AuthenticationOptions extends VerificationOptions {
  readonly sql: Sql;
  /** The claim that makes a token an operator's, where it is true. */
  readonly operatorClaim: string;
}

/** A credential was given and is not valid. */
export const REJECTED = Symbol('rejected credential');

const BEARER = /^Bearer +([\w.~+/=-]+)$/i;
const TOUCH_EVERY_MILLISECONDS = 60_000;
const MAX_TEXT = 200;
/** Forgetting costs one statement more the next time. */
const MAX_REMEMBERED = 10_000;

export class Authenticator {
  readonly #options: AuthenticationOptions;
  readonly #verify: VerifyToken;
  readonly #keys: DataLoader<string, KeyRecord | null>;
  readonly #memberships: DataLoader<string, CallerMembership[]>;
  readonly #touchedAt = new Map<string, number>();

  constructor(options: AuthenticationOptions) {
    this.#options = options;
    const { sql } = options;
    this.#verify = tokenVerification(options);
    this.#keys = oneAtATime((hashes) => findKeys(sql, hashes));
    this.#memberships = oneAtATime((ids) => findMemberships(sql, ids));
  }

  /** Rejects with IdentityProviderUnavailable where nobody can know whose token it is. */
  async authenticate(authorization: string | null | undefined): Promise<Caller | typeof REJECTED> {
    if (authorization === null || authorization === undefined || authorization === '') return ANONYMOUS;
    const credential = BEARER.exec(authorization)?.[1];
    if (credential === undefined) return REJECTED;
    return looksLikeSecret(credential) ? this.#byKey(credential) : this.#byToken(credential);
  }

  /**
   * Who holds a credential that was `granted` a moment ago. While the identity provider does not answer, what it said of a token
   * stays true until the token expires; what the database says is asked anew.
   */
  async authenticateAgain(
    authorization: string | null | undefined,
    granted: Caller,
  ): Promise<Caller | typeof REJECTED> {
    try {
      return await this.authenticate(authorization);
    } catch (error) {
      if (!(error instanceof IdentityProviderUnavailable)) throw error;
      if (hasExpired(authorization)) return REJECTED;
      if (granted.kind !== 'USER') return granted;
      return { ...granted, memberships: await this.#memberships.load(granted.userId) };
    }
  }

  async #byKey(secret: string): Promise<Caller | typeof REJECTED> {
    const key = await this.#keys.load(hashSecret(secret));
    if (!key) return REJECTED;
    this.#touch(key.keyId);
    return { kind: 'API_KEY', ...key };
  }

  async #byToken(token: string): Promise<Caller | typeof REJECTED> {
    const claims = await this.#verify(token);
    const userId: unknown = claims?.sub;
    if (!claims || !isPlainText(userId)) return REJECTED;
    await this.#remember(userId, claims);
    if (claims[this.#options.operatorClaim] === true) return { kind: 'OPERATOR', userId };
    return { kind: 'USER', userId, memberships: await this.#memberships.load(userId) };
  }

  readonly #remembered = new Set<string>();

  /** The first time this process sees a person, so that what they do can name them. */
  async #remember(id: string, claims: JWTPayload): Promise<void> {
    if (this.#remembered.has(id)) return;
    const email = isPlainText(claims.email) ? claims.email : '';
    const name = isPlainText(claims.name) ? claims.name : email || id;
    await rememberUser(this.#options.sql, { id, name, email });
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.add(id);
  }

  /** In the background and at most once a minute: it is worth no waiting. */
  #touch(keyId: string): void {
    const now = Date.now();
    if (now - (this.#touchedAt.get(keyId) ?? 0) < TOUCH_EVERY_MILLISECONDS) return;
    if (this.#touchedAt.size >= MAX_REMEMBERED) this.#touchedAt.clear();
    this.#touchedAt.set(keyId, now);
    touchKeys(this.#options.sql, [keyId]).catch(() => this.#touchedAt.delete(keyId));
  }
}

/** A loader without a cache and with one load in flight: what is asked for meanwhile is the next load. */
function oneAtATime<T>(load: (keys: readonly string[]) => Promise<readonly T[]>): DataLoader<string, T> {
  let inFlight: Promise<unknown> = Promise.resolve();
  return new DataLoader<string, T>(
    (keys) => {
      const loading = load(keys);
      inFlight = loading.catch(() => undefined);
      return loading;
    },
    { cache: false, batchScheduleFn: (dispatch) => void inFlight.then(() => setImmediate(dispatch)) },
  );
}

/** Of a token that was verified before, so that what it says of itself is true. */
function hasExpired(authorization: string | null | undefined): boolean {
  const { exp } = decodeJwt(BEARER.exec(authorization ?? '')?.[1] ?? '');
  return exp !== undefined && exp * 1_000 <= Date.now();
}

/** Text that PostgreSQL can store, of a length that names have. */
function isPlainText(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= MAX_TEXT &&
    !value.includes('\0') &&
    value.isWellFormed()
  );
}
