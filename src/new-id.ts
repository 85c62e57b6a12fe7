/** Ids: UUIDs of version 7, ascending in time. Randomness is fetched in bulk; a call to the system per id would cost more. */
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const BYTES_PER_ID = 16;
const POOL = new Uint8Array(BYTES_PER_ID * 256);
let used = POOL.length;

export function newId(): string {
  if (used === POOL.length) {
    randomFillSync(POOL);
    used = 0;
  }
  used += BYTES_PER_ID;
  return v7({ random: POOL.subarray(used - BYTES_PER_ID, used) });
}
