/**
 * Closes what months are over of all wallets, a few wallets at a time and for some seconds. Runs any number of times and in
 * several processes at once: a month is closed once. A wallet that fails is logged and left for a while; the others' months
 * are closed. Throws the database's faults.
 */
import type { Tenant } from '../domain/identity/caller.ts';
import { walletsToClose } from '../persistence/reports/statements.ts';
import { closeMonths } from './close-months.ts';
import { Pauses } from './pauses.ts';
import type { Services } from './services.ts';

/** Wallets whose months are closed at once: the rest of the connections is for others. */
const AT_ONCE = 4;
/** After so long no more are begun; those under way end. */
const LONGEST_MILLISECONDS = 2_000;

type Closing = Pick<Services, 'sql' | 'engine' | 'logger'>;

/** Remembers between runs which wallets failed: those are tried again after a pause that doubles. */
export class DueMonthCloser {
  readonly #services: Closing;
  readonly #pauses = new Pauses();

  constructor(services: Closing) {
    this.#services = services;
  }

  /** Whether there may be more to close. Ends early, after the wallets it is at, when the signal aborts. */
  async close(signal: AbortSignal): Promise<{ readonly unfinished: boolean }> {
    const { sql } = this.#services;
    const deadline = performance.now() + LONGEST_MILLISECONDS;
    let unfinished = true;
    while (unfinished && !signal.aborted && performance.now() < deadline) {
      const tenants = await walletsToClose(sql, { except: this.#pauses.ids, limit: AT_ONCE });
      await Promise.all(tenants.map((tenant) => this.#closeOf(tenant)));
      unfinished = tenants.length > 0;
    }
    return { unfinished };
  }

  /** What is left of a wallet with more than its share is found again. */
  async #closeOf(tenant: Tenant): Promise<void> {
    const { walletId } = tenant;
    try {
      await closeMonths(this.#services, tenant);
      this.#pauses.succeeded(walletId);
    } catch (error) {
      const failures = this.#pauses.failed(walletId);
      this.#services.logger.warn({ err: error, walletId, failures }, 'the months of a wallet could not be closed');
    }
  }
}
