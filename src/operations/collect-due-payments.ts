/**
 * Charges what is due on all wallets: several at once, and for some seconds, so that a payment provider that is slow holds
 * nothing else up. Runs any number of times and in several processes at once. A wallet whose charge fails for a fault is logged
 * and left for a while; the others are charged. Throws the database's faults.
 */
import type { Tenant } from '../domain/identity/caller.ts';
import { walletsToCharge } from '../persistence/payments/charges.ts';
import { collectPayments } from './collect-payments.ts';
import { Pauses } from './pauses.ts';
import type { Services } from './services.ts';

/** Wallets that are charged at once. */
const AT_ONCE = 10;
/** After so long no more charges are begun; those under way end. */
const LONGEST_MILLISECONDS = 5_000;

/** Remembers between collections which wallets failed: those are tried again after a pause that doubles. */
export class DuePaymentCollector {
  readonly #services: Services;
  readonly #pauses = new Pauses();

  constructor(services: Services) {
    this.#services = services;
  }

  /** Whether there may be more to charge. Ends early, after the wallets it is at, when the signal aborts. */
  async collect(signal: AbortSignal): Promise<{ readonly unfinished: boolean }> {
    const { sql, payments } = this.#services;
    const deadline = performance.now() + LONGEST_MILLISECONDS;
    let unfinished = true;
    while (unfinished && !signal.aborted && performance.now() < deadline) {
      const page = { provider: payments.name, except: this.#pauses.ids, limit: AT_ONCE };
      const tenants = await walletsToCharge(sql, page);
      await Promise.all(tenants.map((tenant) => this.#collectFrom(tenant)));
      unfinished = tenants.length === AT_ONCE;
    }
    return { unfinished };
  }

  async #collectFrom(tenant: Tenant): Promise<void> {
    const { walletId } = tenant;
    try {
      await collectPayments(this.#services, tenant);
      this.#pauses.succeeded(walletId);
    } catch (error) {
      const failures = this.#pauses.failed(walletId);
      this.#services.logger.warn({ err: error, walletId, failures }, 'what is due on a wallet could not be charged');
    }
  }
}
