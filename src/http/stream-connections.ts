/** Sockets and responses as the streams on them know them. */
import type { ServerResponse } from 'node:http';
import type { WebSocket } from 'ws';
import type { StreamConnection } from '../graphql/live/connection.ts';

/** How long a client that was told to go has to read that it was. */
const LINGER_MILLISECONDS = 30_000;

export const socketConnection = (socket: WebSocket): StreamConnection => ({
  backlogBytes: () => socket.bufferedAmount,
  close: (code, reason) => socket.close(code, reason),
  tellsErrorsAsEvents: false,
});

export const responseConnection = (response: ServerResponse): StreamConnection => ({
  backlogBytes: () => response.writableLength,
  close: () => {
    const cut = setTimeout(() => response.destroy(), LINGER_MILLISECONDS);
    response.once('close', () => clearTimeout(cut));
  },
  tellsErrorsAsEvents: true,
});
