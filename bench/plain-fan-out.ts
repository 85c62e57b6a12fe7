/** The floor of live events: a server that does nothing but send the same text to every socket, as often as it is told. */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

interface Broadcast {
  /** The text begins with the time at which it is sent. */
  readonly text: string;
  readonly times: number;
}

const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
sockets.on('listening', () => process.send?.((sockets.address() as AddressInfo).port));

process.on('message', (message: Broadcast | 'stop') => {
  if (message === 'stop') process.exit(0);
  let left = message.times;
  const send = () => {
    const text = `${Date.now()} ${message.text}`;
    for (const socket of sockets.clients) socket.send(text);
    left -= 1;
    if (left > 0) setImmediate(send);
  };
  send();
});
