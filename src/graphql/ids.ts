/**
 * Global ids: opaque to clients, the type's name and the row's key inside. An id that is malformed or of another type
 * decodes to a key that no row has, so that it is answered like any id of something that does not exist.
 */
import { encodeId } from '../domain/identity/global-id.ts';

export { encodeId };

const NO_SUCH_UUID = '00000000-0000-0000-0000-000000000000';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export const isUuid = (value: unknown): value is string => typeof value === 'string' && UUID.test(value);
const MAX_LENGTH = 500;

/** Types whose keys are not uuids. */
const TEXT_KEYS = new Set(['User', 'Plan', 'Package', 'LedgerEntry', 'Statement', 'Activity']);

export interface DecodedId {
  readonly type: string;
  readonly key: string;
}

/** Null for what no id of ours looks like. */
export function parseId(id: string): DecodedId | null {
  if (id.length > MAX_LENGTH) return null;
  const text = Buffer.from(id, 'base64url').toString();
  const colon = text.indexOf(':');
  if (colon <= 0 || text.includes('\0') || encodeId(text.slice(0, colon), text.slice(colon + 1)) !== id) return null;
  const decoded = { type: text.slice(0, colon), key: text.slice(colon + 1) };
  return TEXT_KEYS.has(decoded.type) || isUuid(decoded.key) ? decoded : null;
}

/** The key in an id of the given type; one that no row has where the id is not of that type. */
export function decodeId(type: string, id: string): string {
  const decoded = parseId(id);
  return decoded?.type === type ? decoded.key : NO_SUCH_UUID;
}

/** The same for ids that may be left out. */
export function decodeOptionalId(type: string, id: string | null | undefined): string | null {
  return id === null || id === undefined ? null : decodeId(type, id);
}

/** Names an organization, and a member or project of it: each may be left out. */
interface SpenderInput {
  readonly organizationId?: string | null | undefined;
  readonly userId?: string | null | undefined;
  readonly projectId?: string | null | undefined;
}

export const decodeSpender = ({ organizationId, userId, projectId }: SpenderInput) => ({
  organizationId: decodeOptionalId('Organization', organizationId),
  userId: decodeOptionalId('User', userId),
  projectId: decodeOptionalId('Project', projectId),
});
