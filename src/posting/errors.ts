/**
 * Faults of the engine, not of a command. The caller may try again with the same key: should a lost COMMIT have taken effect,
 * the key finds its answer.
 */

export class EngineBusy extends Error {
  constructor() {
    super('the posting queue is full');
  }
}

export class EngineStopped extends Error {
  constructor() {
    super('the gateway is shutting down');
  }
}

/** PostgreSQL could not be reached for as long as the engine was willing to try. */
export class DatabaseUnavailable extends Error {
  constructor(cause: unknown) {
    super('the database cannot be reached', { cause });
  }
}

/** A catalog is in force that this process cannot read. Another one may, and nothing is priced by an older catalog. */
export class CatalogUnreadable extends Error {
  constructor(cause: unknown) {
    super('the catalog in force cannot be read', { cause });
  }
}

/** One command that PostgreSQL or the decision could not digest; the others of its batch were posted. */
export class PostingFailed extends Error {
  constructor(cause: unknown) {
    super('the command could not be posted', { cause });
  }
}
