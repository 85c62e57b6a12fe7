/** Money, as prices have it. Exact: whole minor units, never a float. */

/** An amount of money in minor units (cents) of an ISO 4217 currency. Never negative in a catalog. */
export interface Money {
  readonly amountMinor: bigint;
  readonly currency: string;
}

/** Cheapest first: by price, then credits, then key. Prices of different currencies sort by currency. */
export function cheapestFirst<T extends { readonly price: Money; readonly key: string }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => {
    if (a.price.currency !== b.price.currency) return a.price.currency < b.price.currency ? -1 : 1;
    if (a.price.amountMinor !== b.price.amountMinor) return a.price.amountMinor < b.price.amountMinor ? -1 : 1;
    return a.key < b.key ? -1 : 1;
  });
}
