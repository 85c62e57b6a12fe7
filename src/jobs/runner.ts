/**
 * Runs jobs by graphile-worker. Every job has one waiting run at most, found by its name; a run names the time of the next,
 * and a line of cron puts one there each minute should a process have died with it. (What a dead process has locked stays
 * locked for hours; a run that is asked for by its name takes its place. A queue name would be locked as well, and its
 * place cannot be taken: so there is none, and two processes may now and then run a job at once, which jobs allow.)
 *
 * An outage of the database is waited for, and told once.
 */
import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger as GraphileLogger, RunnerOptions, Task, WorkerEvents } from 'graphile-worker';
import type { Logger } from 'pino';
import { dateOf } from '../domain/time/instant.ts';
import { createQueuePool, type QueuePool, withQueueLock } from '../persistence/job-queue.ts';
import { QUEUE_SCHEMA } from '../persistence/roles/jobs-role.ts';
import type { Job } from './job.ts';

export interface JobRunnerOptions {
  /** The URL of the role that owns the queue. */
  readonly databaseUrl: string;
  readonly jobs: readonly Job[];
  readonly logger: Logger;
}

/** How late a run may begin. The question costs an index probe. */
const POLL_MILLISECONDS = 250;
const FIRST_PAUSE_MILLISECONDS = 250;
const LONGEST_PAUSE_MILLISECONDS = 5_000;

export class JobRunner {
  readonly #jobs: readonly Job[];
  readonly #logger: Logger;
  readonly #pool: QueuePool;
  readonly #stopping = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  /** Ends of runners one after the other, without a run between them. */
  #failures = 0;
  #interrupted = false;

  constructor({ databaseUrl, jobs, logger }: JobRunnerOptions) {
    this.#jobs = jobs;
    this.#logger = logger;
    this.#pool = createQueuePool(databaseUrl);
  }

  /** Returns at once: what jobs need is prepared while the gateway serves. */
  start(): void {
    this.#ended = this.#keepRunning();
  }

  /**
   * Takes no more runs and waits for the one under way, for as long as is given. A run that is given up does no harm: its
   * place is taken at the next start.
   */
  async stop(milliseconds: number): Promise<void> {
    this.#stopping.abort();
    const ending = this.#ended.then(() => this.#pool.end());
    const patience = new AbortController();
    await Promise.race([ending, delay(milliseconds, null, patience).catch(() => undefined)]);
    patience.abort();
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#runOnce();
        if (!signal.aborted) this.#interrupt(new Error('the runner of jobs has ended'));
      } catch (error) {
        this.#interrupt(error);
      }
      const pause = Math.min(FIRST_PAUSE_MILLISECONDS * 2 ** this.#failures, LONGEST_PAUSE_MILLISECONDS);
      this.#failures += 1;
      await delay(pause * (0.5 + Math.random()), null, { signal }).catch(() => undefined);
    }
  }

  /** Resolves when the runner has ended, because it was stopped or because it lost the database. */
  async #runOnce(): Promise<void> {
    // Loaded when it is needed: a gateway without jobs does without, and one with them answers its first query earlier.
    const graphile = await import('graphile-worker');
    const logger = new graphile.Logger((scope) => (_level, message) => this.#logger.debug({ scope }, message));
    await withQueueLock(this.#pool, () => this.#prepareQueue(graphile, logger));
    if (this.#stopping.signal.aborted) return;
    const events = this.#events();
    // The runner's own promise also waits for the pause that its cron makes after an outage.
    const ended = new Promise<void>((resolve) => events.once('pool:release', () => resolve()));
    const runner = await graphile.run(this.#options(logger, events));
    runner.promise.catch((error: unknown) => this.#interrupt(error));
    const stop = () => void runner.stop().catch(() => undefined);
    this.#stopping.signal.addEventListener('abort', stop);
    if (this.#stopping.signal.aborted) stop();
    await ended;
    this.#stopping.signal.removeEventListener('abort', stop);
  }

  /** Brings the queue's schema up to date, drops the remains of crashed runs and has every job run at once. */
  async #prepareQueue({ makeWorkerUtils }: typeof import('graphile-worker'), logger: GraphileLogger): Promise<void> {
    const queue = await makeWorkerUtils({ pgPool: this.#pool, schema: QUEUE_SCHEMA, logger });
    try {
      await queue.cleanup({ tasks: ['DELETE_PERMAFAILED_JOBS'] });
      for (const { name } of this.#jobs) await queue.addJob(name, {}, { jobKey: name, jobKeyMode: 'replace' });
    } finally {
      await queue.release();
    }
  }

  #events(): WorkerEvents {
    const events: WorkerEvents = new EventEmitter();
    events.on('pool:listen:error', ({ error }) => this.#interrupt(error));
    events.on('worker:getJob:error', ({ error }) => this.#interrupt(error));
    return events;
  }

  #options(logger: GraphileLogger, events: WorkerEvents): RunnerOptions {
    return {
      pgPool: this.#pool,
      schema: QUEUE_SCHEMA,
      logger,
      events,
      // One of them may take longer than what comes due can wait.
      concurrency: 2,
      pollInterval: POLL_MILLISECONDS,
      noHandleSignals: true,
      taskList: Object.fromEntries(this.#jobs.map((job) => [job.name, this.#taskOf(job)])),
      // The line never delays a run that waits: it goes by the clock of this machine, runs by the database's.
      crontab: this.#jobs.map(({ name }) => `* * * * * ${name} ?jobKey=${name}&jobKeyMode=preserve_run_at`).join('\n'),
      // Completing a run in a batch of its own is the one way whose failure is not an unhandled rejection.
      preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
    };
  }

  #taskOf({ name, run }: Job): Task {
    return async (_payload, { addJob }) => {
      try {
        const next = await run(this.#stopping.signal);
        await addJob(name, {}, { jobKey: name, jobKeyMode: 'replace', runAt: dateOf(next) });
      } catch (error) {
        this.#interrupt(error);
        throw error;
      }
      this.#recover();
    };
  }

  #interrupt(error: unknown): void {
    if (this.#interrupted || this.#stopping.signal.aborted) return;
    this.#interrupted = true;
    this.#logger.warn({ err: error }, 'jobs are interrupted');
  }

  #recover(): void {
    this.#failures = 0;
    if (!this.#interrupted) return;
    this.#interrupted = false;
    this.#logger.info('jobs go on');
  }
}
