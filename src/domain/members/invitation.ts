/**
 * Invitations to an organization. The token is a random secret of which only the hash is kept; whoever holds it may accept,
 * once and until it expires by the real clock.
 */
import { hash } from 'node:crypto';
import type { Conflict } from '../plain-refusals.ts';
import type { Instant } from '../time/instant.ts';

export const INVITATION_TOKEN_BYTES = 32;
/** A week: long enough for a holiday weekend, short enough for a link in a mailbox. */
export const INVITATION_LIFE_SECONDS = 7 * 24 * 60 * 60;

const TOKEN_PREFIX = 'pin_';
const MAX_EMAIL_CHARACTERS = 254;
const EMAIL = /^[^\s@\p{C}]{1,64}@[^\s@\p{C}]+$/u;

/** The token of a new invitation, from `INVITATION_TOKEN_BYTES` random bytes. */
export const invitationTokenFrom = (randomBytes: Buffer): string => TOKEN_PREFIX + randomBytes.toString('base64url');

/** SHA-256 in hexadecimal. The token has full entropy, so that no salt or slow hash is needed. */
export const hashInvitationToken = (token: string): string => hash('sha256', token, 'hex');

/** An address as it is compared and kept: without space around it, composed, in lower case. Null for what is none. */
export function normalizeEmail(text: string): string | null {
  const email = text.trim().normalize('NFC').toLowerCase();
  return email.length <= MAX_EMAIL_CHARACTERS && EMAIL.test(email) ? email : null;
}

export interface Invitation {
  readonly status: 'INVITED' | 'ACTIVE';
  readonly expiresAt: Instant | null;
}

/** Why an invitation cannot be accepted; null where it can. */
export function whyNotAcceptable({ status, expiresAt }: Invitation, now: Instant): Conflict | null {
  if (status === 'ACTIVE') {
    return { code: 'CONFLICT', currentState: 'INVITATION_ACCEPTED', reason: 'the invitation was accepted before' };
  }
  if (expiresAt === null || now >= expiresAt) {
    return { code: 'CONFLICT', currentState: 'INVITATION_EXPIRED', reason: 'the invitation has expired' };
  }
  return null;
}
