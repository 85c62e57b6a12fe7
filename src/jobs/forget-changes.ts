/** Forgets, once an hour, changes of balances whose cursors have expired. */
import { forgetChanges as forget } from '../operations/forget-changes.ts';
import type { Services } from '../operations/services.ts';
import { type Job, repeated } from './job.ts';

export function forgetChanges(services: Pick<Services, 'sql'>, retentionDays: number): Job {
  return repeated(services.sql, {
    name: 'forget-changes',
    pauseMilliseconds: 3_600_000,
    async run(signal) {
      await forget(services, retentionDays, signal);
      return { unfinished: false };
    },
  });
}
