/** The numbers of PostgreSQL's advisory locks that Purser takes; each is of one thing. */
export const ADVISORY_LOCKS = {
  /** While migrations are applied: "purs" in ASCII. */
  migrations: 0x70757273,
  /** Held by the gateway that owns an embedded server. */
  owner: 7_230_310,
  /** While roles are made and granted. */
  roles: 7_230_311,
  /** While a catalog is applied; shared by whoever needs the one in force to stay. */
  catalogs: 7_230_312,
  /** While the demo is seeded. */
  demo: 7_230_313,
  /** While the queue of jobs is prepared. */
  queue: 7_230_314,
} as const;
