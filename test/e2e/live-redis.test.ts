/** Two gateways on one database that tell each other of changes over Redis. */
import { describe, expect, it, vi } from 'vitest';
import { redisSignals } from '../../src/persistence/signals/redis-signals.ts';
import { WalletSignals } from '../../src/persistence/signals/wallet-signals.ts';
import { BalanceChangedDocument, DebitDocument, UpdateOrganizationDocument } from '../generated/documents.ts';
import { createDatabase } from '../support/database.ts';
import { startTestGateway } from '../support/gateway.ts';
import { aKey, anOrganization } from '../support/given.ts';
import { tenantOf } from '../support/process-posting.ts';
import { REDIS_IS_INSTALLED, startRedis } from '../support/redis.ts';
import { subscribe, TRANSPORTS } from './streams.ts';

describe.skipIf(!REDIS_IS_INSTALLED)('two gateways with REDIS_URL', () => {
  it.each(TRANSPORTS)(
    'miss nothing over %s, while Redis lives, when it dies and when it is back',
    async (transport) => {
      await using database = await createDatabase();
      const redis = await startRedis();
      const env = { REDIS_URL: redis.url };
      await using charging = await startTestGateway({ database, env });
      await using watching = await startTestGateway({ database, env });
      const organization = await anOrganization(charging, { credits: { purchased: '100' } });
      await using live = subscribe(transport, watching, organization.secret, BalanceChangedDocument, {
        organizationId: organization.id,
      });
      const expectNext = async (version: number) => expect((await live.next()).balanceChanged.version).toBe(version);
      const debit = async () => {
        const { debit } = await organization.client.run(DebitDocument, {
          input: { idempotencyKey: aKey(), amount: '1' },
        });
        expect(debit.__typename).toBe('DebitPayload');
      };
      await expectNext(1);
      for (const { statements } of [charging, watching]) statements.length = 0;
      for (let version = 2; version <= 11; version++) {
        await debit();
        await expectNext(version);
      }
      await redis.kill();
      for (let version = 12; version <= 14; version++) {
        await debit();
        await expectNext(version);
      }
      await using _again = await startRedis(redis.port);
      for (let version = 15; version <= 24; version++) {
        await debit();
        await expectNext(version);
      }
      const told = [...charging.statements, ...watching.statements].filter((sql) => sql.includes('pg_notify'));
      expect(told).toEqual([]);
    },
  );

  it('tell each other what operations add to the feed', async () => {
    await using redis = await startRedis();
    await using acting = await startTestGateway({ env: { REDIS_URL: redis.url } });
    const { id, client } = await anOrganization(acting, { credits: { purchased: '100' } });
    const { walletId } = await tenantOf(acting.database, id);
    const elsewhere = new WalletSignals(acting.gateway.logger);
    await elsewhere.connect((hear) => redisSignals(redis.url, acting.gateway.logger, hear));
    let told = 0;
    elsewhere.subscribe(walletId, () => {
      told += 1;
    });
    let names = 0;
    // What is told while a connection is being made is lost, as it may be.
    await vi.waitFor(
      async () => {
        names += 1;
        await client.run(UpdateOrganizationDocument, { input: { name: `Name ${names}` } });
        expect(told).toBeGreaterThan(0);
      },
      { timeout: 20_000, interval: 50 },
    );
    await elsewhere.stop();
  });
});
