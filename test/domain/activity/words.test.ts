/** What the feed says: one line of plain text, whatever callers have written. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { activityOfAudit } from '../../../src/domain/activity/activity-of-audit.ts';
import { because, creditsOf, inLine, ofWork } from '../../../src/domain/activity/words.ts';
import { micros } from '../../../src/domain/credits/micros.ts';

describe('words', () => {
  it('keep any text to one line of at most 300 characters, and whole characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 700 }), (text) => {
        const line = inLine(text);
        expect([...line].length).toBeLessThanOrEqual(300);
        expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u);
        expect(inLine(line)).toBe(line);
      }),
    );
    expect(inLine('🙂'.repeat(301))).toBe(`${'🙂'.repeat(299)}…`);
  });

  it.each([
    [1_000_000n, '1 credit'],
    [-1_000_000n, '1 credit'],
    [-2_500_000n, '2.5 credits'],
    [1n, '0.000001 credits'],
    [0n, '0 credits'],
    [-(2n ** 63n - 1n), '9223372036854.775807 credits'],
  ])('say %s micros exactly, without their sign', (amount, text) => {
    expect(creditsOf(micros(amount))).toBe(text);
  });

  it('name the work, and a reason where there is one', () => {
    expect(ofWork({ taskId: 't', executionId: 'e' })).toBe(' of execution e of task t');
    expect(ofWork({ taskId: null, executionId: null })).toBe('');
    expect(because(null)).toBe('');
    expect(because('why\nnot')).toBe(': why not');
  });
});

describe('what an audited operation tells', () => {
  const told = (action: string, after: Record<string, string | boolean>) =>
    activityOfAudit({ action, before: null, after })?.summary ?? null;

  it('is nothing for what is told elsewhere, and for names that objects have anyway', () => {
    for (const action of ['purchasePackage', 'grantCredits', 'createPortalSession', 'toString', '__proto__', '']) {
      expect(told(action, {})).toBeNull();
    }
  });

  it.each([
    ['setAllocation', { projectId: 'p', credits: '5' }, 'Earmarked 5 credits for a project'],
    [
      'setAllocation',
      { userId: 'u', credits: '5', exclusive: true },
      'Earmarked 5 credits for a member, which is all that it can spend',
    ],
    ['setAllocation', { userId: 'u', credits: '0' }, 'Took back what was earmarked for a member'],
    ['revokeApiKey', { keyId: 'k' }, null],
    [
      'updateOrganization',
      { name: 'Acme', timeZone: 'UTC', timeZoneChangesAt: '2040-01-01T00:00:00.000Z' },
      'Renamed the organization to Acme and changed the time zone to UTC from 2040-01-01T00:00:00.000Z on',
    ],
  ])('%s with %o', (action, after, summary) => {
    expect(told(action, after as Record<string, string | boolean>)).toBe(summary);
  });

  it('names nobody by their address, and shows no token', () => {
    const after = { membershipId: 'm', email: 'kim@example.com', role: 'OWNER', balanceAccess: 'FULL' };
    expect(told('inviteMember', after)).toBe('Invited somebody as an owner');
  });
});
