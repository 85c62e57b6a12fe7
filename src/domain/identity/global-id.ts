/** Global ids, as the API and webhooks give them out: opaque to clients, the type's name and the row's key inside. */
export function encodeId(type: string, key: string): string {
  return Buffer.from(`${type}:${key}`).toString('base64url');
}
