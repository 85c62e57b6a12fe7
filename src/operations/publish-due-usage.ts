/**
 * Publishes the usage that is due on all wallets, for some seconds. Runs any number of times and in several processes at once. A
 * wallet that fails is logged and left for a while; the others are published. Throws where the database cannot say which are
 * due.
 */
import type { Tenant } from '../domain/identity/caller.ts';
import { walletsToPublish } from '../persistence/reports/usage-groups.ts';
import { Pauses } from './pauses.ts';
import { publishUsageOf } from './publish-usage.ts';
import type { Services } from './services.ts';

/** Wallets of one run. */
const PAGE = 200;
/** After so long no more are begun: other jobs wait for this one. */
const LONGEST_MILLISECONDS = 2_000;

/** Remembers between runs which wallets failed: those are tried again after a pause that doubles. */
export class DueUsagePublisher {
  readonly #services: Pick<Services, 'sql' | 'feed' | 'logger'>;
  readonly #pauses = new Pauses();

  constructor(services: Pick<Services, 'sql' | 'feed' | 'logger'>) {
    this.#services = services;
  }

  /** One portion of every wallet, the one due longest first; whether there is more. Ends early when the signal aborts. */
  async publish(signal: AbortSignal): Promise<{ readonly unfinished: boolean }> {
    const deadline = performance.now() + LONGEST_MILLISECONDS;
    const tenants = await walletsToPublish(this.#services.sql, { except: this.#pauses.ids, limit: PAGE });
    let unfinished = tenants.length === PAGE;
    for (const tenant of tenants) {
      if (signal.aborted || performance.now() >= deadline) return { unfinished: true };
      if (!(await this.#publishOf(tenant))) unfinished = true;
    }
    return { unfinished };
  }

  /** False where more of the wallet is due. */
  async #publishOf(tenant: Tenant): Promise<boolean> {
    const { walletId } = tenant;
    try {
      const isComplete = await publishUsageOf(this.#services, tenant);
      this.#pauses.succeeded(walletId);
      return isComplete;
    } catch (error) {
      const failures = this.#pauses.failed(walletId);
      this.#services.logger.warn({ err: error, walletId, failures }, 'usage of a wallet could not be published');
      return true;
    }
  }
}
