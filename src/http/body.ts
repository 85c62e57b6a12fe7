/** Request bodies of bounded size. */
import type { IncomingMessage } from 'node:http';

export class BodyTooLarge extends Error {
  constructor() {
    super('the request body is too large');
  }
}

/** The declared length of a body; null for one that is sent in chunks. */
export function declaredLength(request: IncomingMessage): number | null {
  const length = request.headers['content-length'];
  return length === undefined ? null : Number(length);
}

/** Cuts the connection of a body that grows beyond the bound without having declared it. */
export function boundChunkedBody(request: IncomingMessage, maxBytes: number): void {
  if (declaredLength(request) !== null) return;
  let received = 0;
  const push = request.push.bind(request);
  request.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
    received += chunk?.length ?? 0;
    if (received <= maxBytes) return push(chunk, encoding);
    request.destroy(new BodyTooLarge());
    return false;
  };
}

export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let received = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    received += chunk.length;
    if (received > maxBytes) throw new BodyTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
