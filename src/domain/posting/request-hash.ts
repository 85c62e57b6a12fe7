/**
 * The hash that binds an idempotency key to its payload: the operation, the organization and the normalized input. Spelling
 * does not count (1 = "1" = "1.0", absent = null, order of JSON keys), meaning does.
 */
import { hash } from 'node:crypto';
import { canonicalJson, type JsonObject, netstring } from '../canonical.ts';

/** SHA-256 in hexadecimal. Amounts and decimals are given in their canonical text form. */
export function requestHash(operation: string, organizationId: string, input: JsonObject): string {
  return hash('sha256', [operation, organizationId, canonicalJson(input)].map(netstring).join(''), 'hex');
}
