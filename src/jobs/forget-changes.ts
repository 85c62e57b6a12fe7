/** Forgets, once an hour, changes of balances whose cursors have expired. */
import { instant } from '../domain/time/instant.ts';
import { forgetChanges as forget } from '../operations/forget-changes.ts';
import type { Services } from '../operations/services.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Job } from './job.ts';

const PAUSE_MILLISECONDS = 3_600_000;

export function forgetChanges(services: Pick<Services, 'sql'>, retentionDays: number): Job {
  return {
    name: 'forget-changes',
    async run(signal) {
      await forget(services, retentionDays, signal);
      return instant((await databaseNow(services.sql)) + PAUSE_MILLISECONDS);
    },
  };
}
