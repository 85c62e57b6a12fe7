import { describe, expect, it } from 'vitest';
import { newId } from '../../src/new-id.ts';

describe('newId', () => {
  it('gives ids that ascend, those of one millisecond included, as posting decisions are promised', () => {
    const ids = Array.from({ length: 2_000 }, () => newId());
    const descents = ids.filter((id, index) => index > 0 && id <= (ids[index - 1] ?? ''));
    expect(descents).toHaveLength(0);
  });

  it('gives UUIDs of version 7 that never repeat', () => {
    const ids = Array.from({ length: 2_000 }, () => newId());
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
