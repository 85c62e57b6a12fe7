import { describe, expect, it } from 'vitest';
import {
  hashInvitationToken,
  INVITATION_TOKEN_BYTES,
  invitationTokenFrom,
  normalizeEmail,
  whyNotAcceptable,
} from '../../../src/domain/members/invitation.ts';
import { instant } from '../../../src/domain/time/instant.ts';

describe('an address', () => {
  it.each([
    ['kim@example.com', 'kim@example.com'],
    ['  Kim@Example.COM\n', 'kim@example.com'],
    ['kim+tag@sub.example.com', 'kim+tag@sub.example.com'],
    // Decomposed and composed, which look alike.
    ['kim.o\u0308@example.com', 'kim.ö@example.com'],
    [`${'a'.repeat(64)}@example.com`, `${'a'.repeat(64)}@example.com`],
  ])('%j is kept as %j', (text, kept) => {
    expect(normalizeEmail(text)).toBe(kept);
  });

  it.each([
    '',
    ' ',
    'kim',
    '@example.com',
    'kim@',
    'kim@@example.com',
    'kim@a@example.com',
    'k im@example.com',
    'kim@example.com\nx',
    'kim\u0000@example.com',
    'kim\u200b@example.com',
    'kim\ud800@example.com',
    `${'a'.repeat(65)}@example.com`,
    `kim@${'a'.repeat(251)}`,
  ])('%j is none', (text) => {
    expect(normalizeEmail(text)).toBeNull();
  });
});

describe('a token', () => {
  it('carries all its random bytes and is told from an API key', () => {
    const bytes = Buffer.alloc(INVITATION_TOKEN_BYTES, 7);
    const token = invitationTokenFrom(bytes);
    expect(INVITATION_TOKEN_BYTES * 8).toBeGreaterThanOrEqual(128);
    expect(token).toMatch(/^pin_/);
    expect(Buffer.from(token.slice(4), 'base64url')).toEqual(bytes);
  });

  it('is kept as its SHA-256', () => {
    expect(hashInvitationToken('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
});

describe('an invitation', () => {
  const open = { status: 'INVITED', expiresAt: instant(1_000) } as const;

  it('can be accepted before it expires, and not at that instant', () => {
    expect(whyNotAcceptable(open, instant(999))).toBeNull();
    expect(whyNotAcceptable(open, instant(1_000))).toMatchObject({ currentState: 'INVITATION_EXPIRED' });
  });

  it('that was accepted is told so, also after its time', () => {
    const accepted = { ...open, status: 'ACTIVE' } as const;
    for (const now of [0, 1_000]) {
      expect(whyNotAcceptable(accepted, instant(now))).toMatchObject({ currentState: 'INVITATION_ACCEPTED' });
    }
  });

  it('without an end is not one', () => {
    expect(whyNotAcceptable({ ...open, expiresAt: null }, instant(0))).toMatchObject({ code: 'CONFLICT' });
  });
});
