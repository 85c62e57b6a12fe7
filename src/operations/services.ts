/** What operations work with; composed once per process. */
import type { Logger } from 'pino';
import type { PaymentProvider } from '../payments/provider.ts';
import type { Sql } from '../persistence/connection.ts';
import type { Prisma } from '../persistence/prisma.ts';
import type { Poster } from '../posting/engine.ts';
import type { LiveFeed } from '../posting/run-batch.ts';
import type { WebhookSender } from '../webhooks/sender.ts';
import type { CatalogStore } from './catalog-store.ts';

export interface Services {
  readonly engine: Poster;
  readonly prisma: Prisma;
  readonly sql: Sql;
  readonly catalogs: CatalogStore;
  readonly payments: PaymentProvider;
  readonly webhooks: WebhookSender;
  /** Told of what operations themselves commit for those who watch a wallet; the engine tells of what it posts. */
  readonly feed: LiveFeed;
  readonly newId: () => string;
  readonly logger: Logger;
  /** The request's id, for the audit trail; null outside of requests. */
  readonly requestId: string | null;
}
