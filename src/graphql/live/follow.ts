/**
 * Follows the rows of one wallet: first those after the cursor, then each new one, in order and once. The wake-up is
 * registered before the first look, so that nothing falls between; a poll backs up lost signals and posts transitions
 * that have come due, so that a watched wallet changes on time.
 */

import type { Tenant } from '../../domain/identity/caller.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import { walletState } from '../../persistence/live-rows.ts';
import type { GraphQLContext } from '../context.ts';

const PAGE = 500;
const POLL_MILLISECONDS = 1_000;

export interface Followed<Row> {
  readonly tenant: Tenant;
  /** Rows after this number. */
  readonly after: bigint;
  readonly numberOf: (row: Row) => bigint;
  readonly load: (after: bigint, limit: number) => Promise<readonly Row[]>;
}

export async function* follow<Row>(
  { signals, services, shutdown }: GraphQLContext,
  { tenant, after, numberOf, load }: Followed<Row>,
): AsyncGenerator<Row> {
  const bell = new Bell();
  const ring = () => bell.ring();
  const unsubscribe = signals.subscribe(tenant.walletId, ring);
  shutdown.addEventListener('abort', ring);
  try {
    for (let cursor = after; !shutdown.aborted; ) {
      const rows = await load(cursor, PAGE);
      for (const row of rows) {
        cursor = numberOf(row);
        yield row;
      }
      if (rows.length === PAGE) continue;
      const rang = await bell.wait(POLL_MILLISECONDS);
      if (!rang && (await walletState(services.sql, tenant.walletId)).due) {
        await settleWallets(services, [tenant.organizationId]);
      }
    }
  } finally {
    unsubscribe();
    shutdown.removeEventListener('abort', ring);
  }
}

/** Remembers that it rang while nobody was waiting. */
class Bell {
  #rang = false;
  #awake: (() => void) | null = null;

  ring(): void {
    this.#rang = true;
    this.#awake?.();
  }

  /** True where it rang within the time or since the last wait. */
  async wait(milliseconds: number): Promise<boolean> {
    if (!this.#rang) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        this.#awake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const rang = this.#rang;
    this.#rang = false;
    this.#awake = null;
    return rang;
  }
}
