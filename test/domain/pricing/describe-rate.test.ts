import { describe, expect, it } from 'vitest';
import { describeRate } from '../../../src/domain/pricing/describe-rate.ts';
import { aRate, aTieredRate } from '../../support/builders-values.ts';

describe('describeRate', () => {
  it.each([
    [aRate('m', '1', { unit: 'page' }), '1 credits per page'],
    [aRate('m', '1.50', { unit: 'page', per: '1.0' }), '1.5 credits per page'],
    [aRate('m', '0.5', { unit: 'token', per: '1000' }), '0.5 credits per 1000 token'],
    [aRate('m', '5', { shape: 'FLAT', unit: 'start', per: '10' }), '5 credits flat'],
    [aRate('m', '5', { shape: 'PACKAGE', unit: 'token', per: '1000' }), 'package of 1000 token for 5 credits'],
    [aRate('m', '2', { shape: 'PACKAGE', unit: 'minute' }), 'package of 1 minute for 2 credits'],
    [
      aTieredRate(
        'm',
        'GRADUATED',
        [
          ['100', '0.01'],
          [null, '0.005'],
        ],
        { unit: 'GB-hour' },
      ),
      'graduated from 0.01 credits per GB-hour',
    ],
    [aTieredRate('m', 'VOLUME', [[null, '3']], { unit: 'call', per: '1000' }), 'volume from 3 credits per 1000 call'],
    [aRate('m', '1', { unit: 'page', freeUnits: '100' }), '1 credits per page, free until 100 page'],
    [aRate('m', '1', { unit: 'page', minimum: '0.25' }), '1 credits per page, at least 0.25 credits'],
    [
      aTieredRate('m', 'VOLUME', [[null, '3']], { unit: 'call', freeUnits: '0.5', minimum: '2' }),
      'volume from 3 credits per call, free until 0.5 call, at least 2 credits',
    ],
    [aRate('m', '1', { unit: 'page', roundTo: '1', rounding: 'UP', preview: true }), '1 credits per page'],
  ])('%# says %s', (rate, words) => {
    expect(describeRate(rate)).toBe(words);
  });
});
