/** What the key of a debit is bound to. */
import { describe, expect, it } from 'vitest';
import type { ApiKeyCaller } from '../../src/domain/identity/caller.ts';
import { NO_ATTRIBUTION } from '../../src/domain/posting/records.ts';
import { requestHash } from '../../src/domain/posting/request-hash.ts';
import { debitCommand } from '../../src/operations/debit.ts';
import { quantityOf, type UsageInput } from '../../src/operations/usage-input.ts';

const TENANT = { organizationId: 'organization-1', walletId: 'wallet-1' };
const CALLER: ApiKeyCaller = {
  kind: 'API_KEY',
  ...TENANT,
  keyId: 'key-1',
  master: false,
  scopes: ['USAGE_WRITE'],
  projectId: null,
  balanceAccess: 'FULL',
};

const hashOf = (...usage: readonly UsageInput[]): string =>
  debitCommand('debit', {
    caller: CALLER,
    tenant: TENANT,
    attribution: NO_ATTRIBUTION,
    charge: { kind: 'usage', usage: usage.map(quantityOf) },
    input: { idempotencyKey: 'key' },
  }).requestHash;

describe('the hash of a debit by usage', () => {
  const line = { meter: 'scrape', dimensions: { render_js: true } };

  it('covers meter, quantity and dimensions of a line, and a preview only where it is one', () => {
    const hashed = (charge: Parameters<typeof requestHash>[2]) =>
      requestHash('debit', 'organization-1', { charge: [charge], reasonCode: 'USAGE' });
    const canonical = { meter: 'scrape', quantity: '1', dimensions: { render_js: true } };
    expect(hashOf(line)).toBe(hashed(canonical));
    expect(hashOf({ ...line, preview: true })).toBe(hashed({ ...canonical, preview: true }));
  });

  it.each([undefined, null, false])('is the same for a preview of %s', (preview) => {
    expect(hashOf({ ...line, preview })).toBe(hashOf(line));
    expect(hashOf({ ...line, preview })).not.toBe(hashOf({ ...line, preview: true }));
  });
});
