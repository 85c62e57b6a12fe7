/**
 * The server writes to a file and not to a pipe: a pipe would break or fill up when the gateway goes away. The file is
 * also where the reason of a failed start is found.
 */
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ignoring } from './error.ts';

const LOG_FILE = 'postgres.log';

/** Looked at when a server starts; the previous file is kept once. */
const ROTATE_ABOVE_BYTES = 10 * 1024 * 1024;

/** With this SQLSTATE the server logs our own early attempts to connect, which explain nothing. */
const CANNOT_CONNECT_NOW = '57P03';

/** Begins every line; `%e` is the SQLSTATE. */
export const LOG_LINE_PREFIX = '%m [%p] %e ';

export interface ServerLog {
  readonly file: FileHandle;
  /** What was written since it was opened. */
  read(): Promise<string>;
  close(): Promise<void>;
}

export async function openServerLog(directory: string): Promise<ServerLog> {
  const path = join(directory, LOG_FILE);
  const size = (await stat(path).catch(ignoring('ENOENT')))?.size ?? 0;
  if (size > ROTATE_ABOVE_BYTES) await rename(path, `${path}.1`).catch(ignoring('ENOENT'));
  const file = await open(path, 'a+', 0o600);
  const { size: start } = await file.stat();
  return {
    file,
    close: () => file.close(),
    async read() {
      const { size: end } = await file.stat();
      const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
      return buffer.toString('utf8', 0, bytesRead);
    },
  };
}

/** The last line that names a failure, with its detail, else the last line; without what only a log needs. */
export function lastRelevantLine(log: string): string | undefined {
  const lines = log.split('\n').filter((line) => line.trim() !== '' && !line.includes(` ${CANNOT_CONNECT_NOW} `));
  const failure = lines.findLastIndex((line) => /\b(FATAL|PANIC|ERROR|error):/.test(line));
  if (failure === -1) return lines.slice(-1).map(withoutPrefix)[0];
  const [line, next] = lines.slice(failure, failure + 2).map(withoutPrefix);
  return lines[failure + 1]?.includes('DETAIL:') ? `${line} (${next?.replace(/\.$/, '')})` : line;
}

function withoutPrefix(line: string): string {
  return line.replace(/^.*?\b(?:FATAL|PANIC|ERROR|error|DETAIL|HINT|LOG):\s+/, '');
}

/** Whether the server gave up because another one has the same files (SQLSTATE lock_file_exists). */
export function saysFilesAreTaken(log: string): boolean {
  return /^\S+ \S+ \S+ \[\d+\] F0001 FATAL:/m.test(log);
}
