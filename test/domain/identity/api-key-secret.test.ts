import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hashSecret, looksLikeSecret, secretFrom, shownPrefix } from '../../../src/domain/identity/api-key-secret.ts';

const secret = secretFrom(Buffer.alloc(24, 0xfb));

describe('the secret of an API key', () => {
  it('carries all of its randomness behind a prefix, in characters that need no escaping', () => {
    expect(secret).toMatch(/^psk_[A-Za-z0-9_-]{32}$/);
    expect(Buffer.from(secret.slice('psk_'.length), 'base64url')).toEqual(Buffer.alloc(24, 0xfb));
  });

  it('is told from a user’s token', () => {
    expect(looksLikeSecret(secret)).toBe(true);
    expect(looksLikeSecret('eyJhbGciOiJIUzI1NiJ9.e30.x')).toBe(false);
    expect(looksLikeSecret('')).toBe(false);
    expect(looksLikeSecret('PSK_x')).toBe(false);
  });

  it('is kept as SHA-256', () => {
    expect(hashSecret(secret)).toBe(createHash('sha256').update(secret).digest('hex'));
    expect(hashSecret(secretFrom(Buffer.alloc(24, 1)))).not.toBe(hashSecret(secret));
  });

  it('shows little enough of itself that the rest cannot be guessed', () => {
    expect(shownPrefix(secret)).toBe(secret.slice(0, 12));
    // 24 bytes less the 48 bits of 8 shown characters.
    expect((secret.length - shownPrefix(secret).length) * 6).toBeGreaterThanOrEqual(128);
  });
});
