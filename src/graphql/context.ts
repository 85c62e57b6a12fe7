/** What a resolver knows of its request: the caller, the services, and loaders that live as long as the request. */
import type { Caller } from '../domain/identity/caller.ts';
import type { Services } from '../operations/services.ts';
import type { StreamConnection, WatchedCredential } from './live/connection.ts';
import type { LiveSources } from './live/live-sources.ts';
import type { RequestLoaders } from './loading/request-loaders.ts';

export interface GraphQLContext {
  /** Replaced when the request changed what the caller belongs to, and while a stream is open. */
  caller: Caller;
  /** The caller by the same credential now; anonymous where it is no longer valid. */
  readonly reauthenticate: () => Promise<Caller>;
  readonly services: Services;
  /** What open streams share. */
  readonly live: LiveSources;
  /** Has the caller's credential checked every second, and `told` of each outcome, until it is stopped. */
  readonly watchCredential: (told: (caller: Caller) => void) => WatchedCredential;
  /** What the caller signed in with. It tells callers apart and leaves the process nowhere. */
  readonly credential: string;
  /** Where events of a stream are written to; null for a request that has one answer. */
  readonly connection: StreamConnection | null;
  /** Replaced for every event of a stream. */
  loaders: RequestLoaders;
  /** Where people and providers reach this gateway, without a slash at the end. */
  readonly publicUrl: string;
}
