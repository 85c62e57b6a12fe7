/**
 * Ids: UUIDs of version 7, ascending within the process. Randomness is fetched in bulk; a call to the system per id would
 * cost more than the id.
 */
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const BYTES_PER_ID = 16;
const POOL = new Uint8Array(BYTES_PER_ID * 256);
const MAX_SEQUENCE = 0x7fff_ffff;
let used = POOL.length;
let lastMilliseconds = 0;
let sequence = 0;

export function newId(): string {
  const random = takeRandom();
  const now = Date.now();
  if (now > lastMilliseconds) {
    lastMilliseconds = now;
    // Starts anywhere in the lower half, so that ids of one millisecond cannot be guessed and the counter has room.
    sequence = new DataView(random.buffer, random.byteOffset).getUint32(0) & (MAX_SEQUENCE >>> 1);
  } else {
    sequence += 1;
  }
  return v7({ random, msecs: lastMilliseconds, seq: sequence });
}

function takeRandom(): Uint8Array {
  if (used === POOL.length) {
    randomFillSync(POOL);
    used = 0;
  }
  used += BYTES_PER_ID;
  return POOL.subarray(used - BYTES_PER_ID, used);
}
