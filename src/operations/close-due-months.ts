/** Closes what months are over of all wallets. A month is closed once, however many runs there are at once. */
import { walletsToClose } from '../persistence/reports/statements.ts';
import { closeMonths } from './close-months.ts';
import { DueRun } from './due-run.ts';
import type { Services } from './services.ts';

const BOUNDS = { page: 4, atOnce: 4, longestMilliseconds: 2_000 };

export function closingOfDueMonths(services: Pick<Services, 'sql' | 'engine' | 'logger'>): DueRun {
  return new DueRun(
    {
      ...BOUNDS,
      find: (page) => walletsToClose(services.sql, page),
      work: (tenant) => closeMonths(services, tenant),
      failure: 'the months of a wallet could not be closed',
    },
    services.logger,
  );
}
