import { describe, expect, it } from 'vitest';
import type { PricedLine } from '../../src/domain/pricing/price.ts';
import { decodeLines, encodeLines } from '../../src/persistence/batch/line-codec.ts';
import { credits, decimal } from '../support/builders-values.ts';

const LINE: PricedLine = {
  meter: 'scrape',
  quantity: decimal('2.5'),
  rate: '1 credits per page',
  credits: credits('2'),
  waived: credits('0.5'),
  dimensions: { render_js: true, depth: 2 },
  preview: true,
};

describe('usage lines of a transaction row', () => {
  it('are read as they were written', () => {
    const lines = [LINE, { ...LINE, dimensions: null, preview: false }];
    expect(decodeLines(JSON.parse(JSON.stringify(encodeLines(lines))))).toEqual(lines);
  });

  it('are no previews where the row does not say', () => {
    const [{ preview: _, ...stored } = {}] = encodeLines([LINE]);
    expect(decodeLines([stored])).toEqual([{ ...LINE, preview: false }]);
  });
});
