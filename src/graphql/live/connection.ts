/** What a stream is told through, as far as a stream has to know of it. */
import type { Caller } from '../../domain/identity/caller.ts';

/** The credential of a caller while somebody watches it: checked once a second for all who do. */
export interface WatchedCredential {
  /** The caller by a check not older than a second; anonymous where the credential is no longer valid. */
  current(): Caller | Promise<Caller>;
  stop(): void;
}

/** The socket or response that a stream is written to. */
export interface StreamConnection {
  /** Bytes that the client has not taken yet, beyond what the operating system buffers. */
  backlogBytes(): number;
  /** WebSocket: closes the socket with the code. SSE: cuts the response where the client does not read its end in time. */
  close(code: number, reason: string): void;
  /** True where an error is the last event of the stream, for the transport has no other message for it. */
  readonly tellsErrorsAsEvents: boolean;
}

export const CLOSE_FORBIDDEN = 4403;
export const CLOSE_TOO_SLOW = 4429;
