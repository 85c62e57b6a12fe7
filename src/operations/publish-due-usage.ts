/** Publishes the usage that is due on all wallets, one after the other: other jobs wait for this one, readers do not. */
import { walletsToPublish } from '../persistence/reports/usage-groups.ts';
import { DueRun } from './due-run.ts';
import { publishUsageOf } from './publish-usage.ts';
import type { Services } from './services.ts';

const BOUNDS = { page: 200, atOnce: 1, longestMilliseconds: 2_000 };

export function publicationOfDueUsage(services: Pick<Services, 'sql' | 'feed' | 'logger'>): DueRun {
  return new DueRun(
    {
      ...BOUNDS,
      find: (page) => walletsToPublish(services.sql, page),
      work: async (tenant) => ({ unfinished: !(await publishUsageOf(services, tenant)) }),
      failure: 'usage of a wallet could not be published',
    },
    services.logger,
  );
}
