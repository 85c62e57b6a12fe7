/** The Prisma client: the nested reads of the API. */
import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from '../generated/prisma/client.ts';
import { CONNECTING } from './client.ts';

export type Prisma = PrismaClient;

export interface PrismaOptions {
  readonly maxConnections: number;
  /** Told every statement; tests count them. */
  readonly onStatement?: (sql: string) => void;
}

export function createPrisma(databaseUrl: string, { maxConnections, onStatement }: PrismaOptions): Prisma {
  const adapter = new PrismaPg({
    connectionString: databaseUrl,
    max: maxConnections,
    ...CONNECTING,
    application_name: 'purser-read',
    options: '-c statement_timeout=30s',
  });
  const client = new PrismaClient({ adapter, log: [{ level: 'query', emit: 'event' }] });
  if (onStatement) client.$on('query', (event) => onStatement(event.query));
  return client;
}
