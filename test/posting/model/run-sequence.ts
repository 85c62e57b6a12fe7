/** One sequence from a wallet's first credits to its audit: sent to the engine, predicted by the model, compared. */
import { expect } from 'vitest';
import { auditBooks } from '../../../src/operations/audit-books.ts';
import type { NaiveCommand, NaiveDebit, NaiveKeyed } from './commands.ts';
import { Ids, toCommand, toReply, type WalletIds } from './engine-side.ts';
import { NaiveWallet } from './naive-wallet.ts';
import { START } from './rules.ts';
import { modelBooks, storedBooks } from './stored-books.ts';
import type { Fresh, Sequence, Step, Wish } from './wishes.ts';
import { beginning, changeCircumstances, createWallet, setLimit, type World } from './world.ts';

export async function runSequence(world: World, sequence: Sequence): Promise<WalletIds> {
  const wallet = await createWallet(world, sequence);
  const run = new SequenceRun(world, sequence, wallet);
  await run.grantFirst();
  for (const step of sequence.steps) await run.take(step);
  expect(await storedBooks(world.pool, wallet, run.model)).toEqual(modelBooks(run.model));
  expect(await brokenInvariants(world, wallet)).toEqual([]);
  return wallet;
}

/** The invariants of the books that do not hold for the wallet. */
async function brokenInvariants({ auditing }: World, { walletId }: WalletIds): Promise<string[]> {
  const broken: string[] = [];
  await auditBooks(auditing, ({ name, count }) => void (count > 0 && broken.push(name)), [walletId]);
  return broken;
}

/** Picks one of a list by a chance number; undefined where there is none. */
const pick = <Item>(items: readonly Item[], nth: number): Item | undefined =>
  items.length === 0 ? undefined : items[nth % items.length];

class SequenceRun {
  readonly model: NaiveWallet;
  readonly #world: World;
  readonly #sequence: Sequence;
  readonly #wallet: WalletIds;
  readonly #ids = new Ids();
  /** Everything that was sent, for what is sent again. */
  readonly #sent: NaiveCommand[] = [];
  #keys = 0;

  constructor(world: World, sequence: Sequence, wallet: WalletIds) {
    this.#world = world;
    this.#sequence = sequence;
    this.#wallet = wallet;
    this.model = new NaiveWallet({ now: START, ...sequence }, beginning(sequence));
  }

  async grantFirst(): Promise<void> {
    const wishes = this.#sequence.lots.map((lot) => ({ kind: 'grant' as const, expiresIn: null, ...lot }));
    this.model.settle();
    await this.#send(wishes.length > 0 ? wishes : [{ kind: 'settle' }]);
  }

  /** Changes what the step changes around the wallet, then sends its commands at once. */
  async take({ advance, status, frozen, limit, wishes }: Step): Promise<void> {
    const { model } = this;
    const before = { now: model.now, status: model.books.status, frozen: model.frozen };
    if (advance.kind === 'by') model.now += advance.span;
    else if (model.nextDue !== null) model.now = Math.max(model.now, model.nextDue + advance.past);
    if (status !== null && model.books.status !== null) model.books.status = status;
    // A canceled subscription has nothing ahead of it.
    if (status === 'CANCELED') Object.assign(model.books, { ending: false, scheduled: null });
    // The plan that was to follow is the one that a payment is due for.
    if (status === 'PAST_DUE') model.books.scheduled = null;
    model.frozen = frozen;
    const after = { now: model.now, status: model.books.status, frozen };
    if (JSON.stringify(after) !== JSON.stringify(before)) await changeCircumstances(this.#world, this.#wallet, after);
    model.settle();
    if (limit) {
      await setLimit(this.#world, this.#wallet, limit);
      model.setLimit(limit);
    }
    await this.#send(wishes);
  }

  /** All are on their way before the first is answered; the engine and the model take them in the same order. */
  async #send(wishes: readonly Wish[]): Promise<void> {
    const engine = this.#world.engines[this.#sequence.expiredRefund];
    const sending = wishes.map((wish) => {
      const command = this.#commandOf(wish);
      this.#sent.push(command);
      return { command, outcome: engine.execute(toCommand(command, this.#wallet, this.#ids)) };
    });
    const outcomes = await Promise.all(sending.map(({ outcome }) => outcome));
    for (const [index, { command }] of sending.entries()) {
      const outcome = outcomes[index];
      const predicted = this.model.apply(command);
      if (outcome) this.#ids.learn(outcome, predicted);
      expect({ command, reply: outcome && toReply(outcome, this.#ids) }).toEqual({ command, reply: predicted });
    }
  }

  #commandOf(wish: Wish): NaiveCommand {
    switch (wish.kind) {
      case 'again':
        return pick(this.#sent, wish.nth) ?? { kind: 'settle' };
      case 'other-under-key': {
        const command = this.#fresh(wish.fresh);
        const earlier = pick(this.#sent.filter(isKeyed), wish.nth);
        return earlier && isKeyed(command) ? { ...command, key: earlier.key } : command;
      }
      default:
        return this.#fresh(wish);
    }
  }

  #fresh(wish: Fresh): NaiveCommand {
    const { now } = this.model;
    const key = `key-${this.#keys++}`;
    switch (wish.kind) {
      case 'debit': {
        const { kind, charge, overage, inProject, occurredIn } = wish;
        return { kind, key, charge, overage, inProject, occurredAt: occurredIn === null ? null : now + occurredIn };
      }
      case 'events':
        return { ...wish, events: wish.events.map((event) => this.#event(event)) };
      case 'capture': {
        const { nth, ...capture } = wish;
        return this.#onHold(nth, key, (hold) => ({ ...capture, key, hold }));
      }
      case 'release':
        return this.#onHold(wish.nth, key, (hold) => ({ kind: wish.kind, key, hold }));
      case 'extend':
        return this.#onHold(wish.nth, key, (hold) => ({ kind: wish.kind, key, hold, life: wish.life }));
      case 'refund':
        return this.#onTransaction(wish.nth, key, (transaction) => ({
          kind: wish.kind,
          key,
          transaction,
          amount: wish.amount,
        }));
      case 'grant': {
        const { kind, amount, bucket } = wish;
        return { kind, key, amount, bucket, expiresAt: wish.expiresIn === null ? null : now + wish.expiresIn };
      }
      case 'authorize':
      case 'adjust':
      case 'subscribe':
        return { ...wish, key };
      case 'pay':
      case 'cancel':
      case 'resume':
      case 'settle':
        return wish;
    }
  }

  /** Mostly of the newest holds, which are likelier to be open; where there is none the wish is to make one. */
  #onHold(nth: number, key: string, command: (hold: number | null) => NaiveCommand): NaiveCommand {
    if (nth % 40 === 0) return command(null);
    const hold = pick([...this.#ids.holds.values()].toReversed().slice(0, 1 + (nth % 4)), nth);
    const charge = { kind: 'amount' as const, amount: 20n };
    return hold === undefined ? { kind: 'authorize', key, charge, life: null, inProject: true } : command(hold);
  }

  /** Mostly of what can be refunded; where there is nothing the wish is to charge something. */
  #onTransaction(nth: number, key: string, command: (transaction: number | null) => NaiveCommand): NaiveCommand {
    if (nth % 40 === 0) return command(null);
    const known = [...this.#ids.transactions.values()];
    const charges = known.filter((number) =>
      ['DEBIT', 'CAPTURE'].includes(this.model.books.transactions[number]?.kind ?? ''),
    );
    const transaction = pick(nth % 10 === 0 ? known : charges.toReversed(), nth);
    const charge = { kind: 'amount' as const, amount: 120n };
    return transaction === undefined
      ? { kind: 'debit', key, charge, overage: 'DEBT', occurredAt: null, inProject: true }
      : command(transaction);
  }

  #event(wish: Extract<Fresh, { kind: 'events' }>['events'][number]): NaiveDebit | null {
    switch (wish.kind) {
      case 'event-invalid':
        return null;
      case 'event-again': {
        const events = this.#sent.flatMap((command) => (command.kind === 'events' ? command.events : []));
        return pick(events, wish.nth) ?? null;
      }
      case 'event': {
        const { line, overage, occurredIn, inProject } = wish;
        const occurredAt = occurredIn === null ? null : this.model.now + occurredIn;
        const charge = { kind: 'usage' as const, lines: [line] };
        return { kind: 'event', key: `key-${this.#keys++}`, charge, overage, occurredAt, inProject };
      }
    }
  }
}

const isKeyed = (command: NaiveCommand): command is NaiveKeyed => 'key' in command;
