/**
 * Watches the credentials behind open streams: each is checked once a second, however many streams it has, and all of
 * them together, so that a check costs one statement for keys and one for members. The first few events of a second are
 * checked for as they come, so that a change of rights shows at once where little happens; the others are delivered by a
 * check that is not older than a second. Where the database does not answer, delivery waits; an identity provider that does
 * not answer ends no stream, for what it has granted holds until its token expires.
 */
import { ANONYMOUS, type Caller } from '../domain/identity/caller.ts';
import type { WatchedCredential } from '../graphql/live/connection.ts';
import { type Authenticator, REJECTED } from './authenticate.ts';

const CHECK_MILLISECONDS = 1_000;
const CHECKS_FOR_EVENTS = 5;

/** Told after every check: the caller, anonymous where the credential is no longer valid. */
export type Told = (caller: Caller) => void;

interface Watched {
  readonly authorization: string;
  readonly told: Set<Told>;
  /** By the newest check; before the first, who the stream was opened by. */
  caller: Caller;
  checkedAt: number;
  checking: Promise<Caller> | null;
  /** How many more checks events may cause in this second. */
  checksLeft: number;
}

export class CredentialWatch {
  readonly #authenticator: Pick<Authenticator, 'authenticateAgain'>;
  readonly #watched = new Map<string, Watched>();
  #timer: NodeJS.Timeout | null = null;

  constructor(authenticator: Pick<Authenticator, 'authenticateAgain'>) {
    this.#authenticator = authenticator;
  }

  /** How many credentials are watched. */
  get size(): number {
    return this.#watched.size;
  }

  /** The credential has just been `granted` to the caller. */
  watch(authorization: string, granted: Caller, told: Told): WatchedCredential {
    const watched = this.#watched.get(authorization) ?? {
      authorization,
      told: new Set(),
      caller: granted,
      checkedAt: Number.NEGATIVE_INFINITY,
      checking: null,
      checksLeft: CHECKS_FOR_EVENTS,
    };
    this.#watched.set(authorization, watched);
    // One who watches twice is told twice.
    const own: Told = (caller) => told(caller);
    watched.told.add(own);
    this.#timer ??= setInterval(() => this.#checkAll(), CHECK_MILLISECONDS);
    return {
      current: () => this.#current(watched),
      stop: () => this.#stop(watched, own),
    };
  }

  #current(watched: Watched): Caller | Promise<Caller> {
    const isFresh = performance.now() - watched.checkedAt < CHECK_MILLISECONDS;
    if (isFresh && watched.checksLeft === 0) return watched.caller;
    if (!watched.checking && watched.checksLeft > 0) watched.checksLeft -= 1;
    return this.#check(watched);
  }

  #stop(watched: Watched, told: Told): void {
    watched.told.delete(told);
    if (watched.told.size > 0 || this.#watched.get(watched.authorization) !== watched) return;
    this.#watched.delete(watched.authorization);
    if (this.#watched.size > 0 || !this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #checkAll(): void {
    for (const watched of this.#watched.values()) {
      watched.checksLeft = CHECKS_FOR_EVENTS;
      // What cannot be checked now delivers nothing until it can.
      this.#check(watched).catch(() => undefined);
    }
  }

  #check(watched: Watched): Promise<Caller> {
    watched.checking ??= this.#ask(watched).finally(() => {
      watched.checking = null;
    });
    return watched.checking;
  }

  async #ask(watched: Watched): Promise<Caller> {
    const askedAt = performance.now();
    const answer = await this.#authenticator.authenticateAgain(watched.authorization, watched.caller);
    const caller = answer === REJECTED ? ANONYMOUS : answer;
    watched.caller = caller;
    watched.checkedAt = askedAt;
    for (const told of [...watched.told]) told(caller);
    return caller;
  }
}
