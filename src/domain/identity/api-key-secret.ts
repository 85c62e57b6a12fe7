/** API keys are random secrets; the gateway keeps a hash and the first characters. */
import { hash } from 'node:crypto';

const SECRET_PREFIX = 'psk_';
const SHOWN_CHARACTERS = 12;

/** The secret of a new key, from at least 24 random bytes. */
export function secretFrom(randomBytes: Buffer): string {
  return SECRET_PREFIX + randomBytes.toString('base64url');
}

/** True for what could be a key's secret, as opposed to a user's token. */
export const looksLikeSecret = (credential: string): boolean => credential.startsWith(SECRET_PREFIX);

/** SHA-256 in hexadecimal. The secret has full entropy, so that no salt or slow hash is needed. */
export const hashSecret = (secret: string): string => hash('sha256', secret, 'hex');

/** What lists show of a key, to recognize it by. */
export const shownPrefix = (secret: string): string => secret.slice(0, SHOWN_CHARACTERS);
