/** What opens the sandbox's portal for one organization until an instant: both in the clear, with a proof that the gateway wrote them. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Instant, instant } from '../../domain/time/instant.ts';

export interface PortalGrant {
  readonly organizationId: string;
  readonly expiresAt: Instant;
}

const TOKEN = /^([0-9a-f-]{36})\.(\d{1,15})\.([\w-]{43})$/;

const proof = (secret: string, { organizationId, expiresAt }: PortalGrant): Buffer =>
  createHmac('sha256', Buffer.from(secret, 'base64')).update(`portal:${organizationId}:${expiresAt}`).digest();

export const portalToken = (secret: string, grant: PortalGrant): string =>
  `${grant.organizationId}.${grant.expiresAt}.${proof(secret, grant).toString('base64url')}`;

/** Whose portal the token opens; null where it was not made with the secret, or is no longer valid. */
export function openedBy(secret: string, token: string, now: Instant): string | null {
  const [, organizationId = '', expiry = '', signature = ''] = TOKEN.exec(token) ?? [];
  const grant = { organizationId, expiresAt: instant(Number(expiry)) };
  const given = Buffer.from(signature, 'base64url');
  const expected = proof(secret, grant);
  const isGenuine = given.length === expected.length && timingSafeEqual(given, expected);
  return isGenuine && now < grant.expiresAt ? organizationId : null;
}
