/** Those who watch an organization are told what its operations did: after the commit, once, and never in a transaction. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { micros } from '../../src/domain/credits/micros.ts';
import type { OperatorCaller, Tenant } from '../../src/domain/identity/caller.ts';
import { audit } from '../../src/operations/audit.ts';
import { setSpendLimit } from '../../src/operations/set-spend-limit.ts';
import { ACTIVITIES, newestEvent } from '../../src/persistence/event-sources.ts';
import { lockClock } from '../../src/persistence/spend-limits.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { anOrganization } from '../support/given.ts';
import { tenantOf } from '../support/process-posting.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const OPERATOR: OperatorCaller = { kind: 'OPERATOR', userId: 'somebody' };

/** The gateway's services, with a feed of the test's own. */
const toldBy = (published: (changes: readonly { readonly walletId: string }[]) => void) => ({
  ...gateway.gateway.services,
  feed: { published },
});

async function aTenant(): Promise<Tenant> {
  const { id } = await anOrganization(gateway, { credits: { purchased: '10' } });
  return tenantOf(gateway.database, id);
}

describe('what an operation tells in the feed', () => {
  it('is there and the wallet is free when those who watch are told, over whichever channel', async () => {
    const tenant = await aTenant();
    const { sql } = gateway.gateway.services;
    const before = await newestEvent(sql, ACTIVITIES, tenant.walletId);
    const seen: Promise<[wallets: string[], newest: bigint]>[] = [];
    const services = toldBy((changes) => {
      const look = sql.begin(async (tx): Promise<[string[], bigint]> => {
        await lockClock(tx, tenant.walletId);
        return [changes.map(({ walletId }) => walletId), await newestEvent(tx, ACTIVITIES, tenant.walletId)];
      });
      seen.push(look);
    });
    gateway.statements.length = 0;
    await setSpendLimit(services, OPERATOR, {
      organizationId: tenant.organizationId,
      scope: 'ORGANIZATION',
      window: 'DAY',
      credits: micros(5_000_000n),
    });
    expect(gateway.statements.filter((statement) => /pg_notify/i.test(statement))).toEqual([]);
    expect(await Promise.all(seen)).toEqual([[[tenant.walletId], before + 1n]]);
  });

  it('is told to nobody where it is rolled back', async () => {
    const { organizationId, walletId } = await aTenant();
    const { sql } = gateway.gateway.services;
    const before = await newestEvent(sql, ACTIVITIES, walletId);
    const told: unknown[] = [];
    const services = toldBy((changes) => told.push(changes));
    const work = sql.begin(async (tx) => {
      await audit(services, tx, OPERATOR, { organizationId, action: 'createProject', after: { key: 'p', name: 'P' } });
      throw new Error('rolled back');
    });
    await expect(work).rejects.toThrow('rolled back');
    expect(told).toEqual([]);
    expect(await newestEvent(sql, ACTIVITIES, walletId)).toBe(before);
  });
});
