/**
 * Consecutive ledger entries that streams tell one by one, read together. Entries never change, so that what is read of
 * them holds for every stream; what is not of the entry alone (its lot as it is now) is read for each event.
 */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import type { LedgerEntry } from '../../generated/prisma/client.ts';
import type { GraphQLContext } from '../context.ts';
import type { NodeQuery } from '../loading/connections.ts';

type Entries = ReadonlyMap<bigint, LedgerEntry>;

export class EntryBatch {
  readonly #walletId: string;
  readonly #first: bigint;
  readonly #last: bigint;
  /** By what is selected. */
  readonly #read = new Map<string, Promise<Entries>>();

  constructor(walletId: string, sequences: readonly bigint[]) {
    this.#walletId = walletId;
    this.#first = sequences.at(0) ?? 0n;
    this.#last = sequences.at(-1) ?? 0n;
  }

  async entry(context: GraphQLContext, info: GraphQLResolveInfo, sequence: bigint): Promise<LedgerEntry> {
    const query = queryFromInfo({ context, info }) as NodeQuery;
    const { prisma } = context.services;
    const row = isOfEntryAlone(query)
      ? (await this.#readAll(context, query)).get(sequence)
      : await prisma.ledgerEntry.findUnique({
          ...query,
          where: { walletId_sequence: { walletId: this.#walletId, sequence } },
        });
    if (!row) throw new Error(`the entry ${sequence} that was told cannot be read`);
    return row;
  }

  #readAll({ services: { prisma } }: GraphQLContext, query: NodeQuery): Promise<Entries> {
    const selected = JSON.stringify(query);
    let reading = this.#read.get(selected);
    if (!reading) {
      const where = { walletId: this.#walletId, sequence: { gte: this.#first, lte: this.#last } };
      reading = prisma.ledgerEntry
        .findMany({ ...query, where })
        .then((rows) => new Map(rows.map((row) => [row.sequence, row])));
      this.#read.set(selected, reading);
      // The next who asks tries again.
      reading.catch(() => this.#read.delete(selected));
    }
    return reading;
  }
}

/** Columns of the entry and of its transaction, which is as immutable. */
function isOfEntryAlone(query: object): boolean {
  return Object.values(query).every((selection: unknown) =>
    Object.entries(selection as object).every(
      ([name, selected]) => selected === true || (name === 'transaction' && selectsColumns(selected)),
    ),
  );
}

function selectsColumns(selected: { readonly select?: object; readonly include?: object }): boolean {
  const { select, ...others } = selected;
  return Object.keys(others).length === 0 && Object.values(select ?? {}).every((column) => column === true);
}
