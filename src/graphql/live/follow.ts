/**
 * Follows the rows of one wallet: first those after the cursor, then each new one, in order and once. The wake-up is
 * registered before the first look, so that nothing falls between; a poll backs up lost signals and posts transitions
 * that have come due, so that a watched wallet changes on time. The stream ends with its client, its credential or the
 * gateway, whatever it is waiting for.
 */
import { Repeater } from '@repeaterjs/repeater';
import { may, type Tenant } from '../../domain/identity/caller.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import { walletState } from '../../persistence/live-rows.ts';
import type { GraphQLContext } from '../context.ts';
import { forbidden, unauthenticated } from '../errors.ts';
import { RequestLoaders } from '../loading/request-loaders.ts';

const PAGE = 500;
const POLL_MILLISECONDS = 1_000;

export interface Followed<Row> {
  readonly tenant: Tenant;
  /** Sent before everything else. */
  readonly opening: readonly Row[];
  /** Rows after this number. */
  readonly after: bigint;
  readonly numberOf: (row: Row) => bigint;
  readonly load: (after: bigint, limit: number) => Promise<readonly Row[]>;
}

export function follow<Row>(context: GraphQLContext, followed: Followed<Row>): AsyncIterable<Row> {
  const { signals, shutdown } = context;
  return new Repeater<Row>(async (push, stop) => {
    const bell = new Bell();
    const stream = { open: true };
    const end = () => {
      stream.open = false;
      bell.ring();
    };
    stop.then(end, end);
    shutdown.addEventListener('abort', end);
    const unsubscribe = signals.subscribe(followed.tenant.walletId, () => bell.ring());
    try {
      await deliver(context, followed, { stream, bell, push });
    } catch (error) {
      // Nobody listens any more: what fails while a stream is being left has nobody to tell.
      if (stream.open) throw error;
    } finally {
      unsubscribe();
      shutdown.removeEventListener('abort', end);
      stop();
    }
  });
}

interface Delivery<Row> {
  readonly stream: { readonly open: boolean };
  readonly bell: Bell;
  readonly push: (row: Row) => Promise<unknown>;
}

async function deliver<Row>(
  context: GraphQLContext,
  { tenant, opening, after, numberOf, load }: Followed<Row>,
  { stream, bell, push }: Delivery<Row>,
): Promise<void> {
  const { services } = context;
  const send = async (row: Row) => {
    // What is nested below an event is read for that event.
    context.loaders = new RequestLoaders(services);
    await push(row);
  };
  for (const row of opening) await send(row);
  for (let cursor = after; stream.open; ) {
    await checkStillAllowed(context, tenant);
    const rows = await load(cursor, PAGE);
    for (const row of rows) {
      if (!stream.open) return;
      cursor = numberOf(row);
      await send(row);
    }
    if (rows.length === PAGE) continue;
    const rang = await bell.wait(POLL_MILLISECONDS);
    if (!rang && stream.open && (await walletState(services.sql, tenant.walletId)).due) {
      await settleWallets(services, [tenant.organizationId]);
    }
  }
}

/** A stream ends with its credential: before its next event, and within a poll where nothing happens. */
async function checkStillAllowed(context: GraphQLContext, { organizationId }: Tenant): Promise<void> {
  context.caller = await context.reauthenticate();
  const { caller } = context;
  if (caller.kind === 'ANONYMOUS') throw unauthenticated();
  if (!may(caller, 'billing:read', organizationId)) throw forbidden();
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
