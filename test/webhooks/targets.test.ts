/** What can be told of a URL before it is called. What its name resolves to is told when it is (test/e2e/webhooks.test.ts). */
import { describe, expect, it } from 'vitest';
import { type TargetRules, whyNoTarget } from '../../src/webhooks/targets.ts';

const PUBLIC: TargetRules = { targets: 'PUBLIC', httpsOnly: false };

const UNFIT = 'must hold neither spaces nor control characters nor half of a surrogate pair';

const PRIVATE = [
  'http://127.0.0.1',
  'http://127.1',
  'http://2130706433',
  'http://0x7f.0.0.1',
  'http://0177.0.0.1',
  'http://0.0.0.0',
  'http://10.1.2.3',
  'http://100.64.0.1',
  'http://169.254.169.254/latest/meta-data',
  'http://172.16.0.1',
  'http://172.31.255.255',
  'http://192.168.1.1',
  'http://198.18.0.1',
  'http://224.0.0.1',
  'http://255.255.255.255',
  'http://[::1]',
  'http://[::]',
  'http://[::ffff:127.0.0.1]',
  'http://[::ffff:a9fe:a9fe]',
  'http://[64:ff9b::7f00:1]',
  'http://[2002:7f00:1::]',
  'http://[2001:db8::1]',
  'http://[fe80::1]',
  'http://[fc00::1]',
  'http://[fd12:3456::1]',
  'http://[ff02::1]',
];

describe('a URL', () => {
  it.each(PRIVATE)('with the address of %s is refused', (url) => {
    expect(whyNoTarget(url, PUBLIC)).toBe('must be a public address');
  });

  it.each([
    'https://example.com',
    'https://example.com:8443/hook?a=1',
    'http://example.com:80',
    'https://93.184.216.34',
    'https://172.32.0.1',
    'https://[2606:2800:220:1:248:1893:25c8:1946]',
    // Names are judged when they are resolved.
    'http://localhost:4000',
  ])('%s is taken', (url) => {
    expect(whyNoTarget(url, PUBLIC)).toBeNull();
  });

  it('of this machine alone is taken where loopback is allowed', () => {
    const rules: TargetRules = { targets: 'LOOPBACK', httpsOnly: false };
    const taken = PRIVATE.filter((url) => whyNoTarget(url, rules) === null);
    expect(taken).toEqual([
      'http://127.0.0.1',
      'http://127.1',
      'http://2130706433',
      'http://0x7f.0.0.1',
      'http://0177.0.0.1',
      'http://[::1]',
    ]);
  });

  it('of any address is taken where private networks are allowed', () => {
    expect(PRIVATE.filter((url) => whyNoTarget(url, { targets: 'ANY', httpsOnly: false }) !== null)).toEqual([]);
  });

  it('without TLS is refused in production, whatever else is allowed', () => {
    expect(whyNoTarget('http://example.com', { targets: 'ANY', httpsOnly: true })).toBe('must begin with https://');
    expect(whyNoTarget('https://example.com', { targets: 'ANY', httpsOnly: true })).toBeNull();
  });

  it.each([
    ['', 'must be a URL: https://…'],
    ['https://', 'must be a URL: https://…'],
    ['file:///etc/passwd', 'must be a URL: https://…'],
    ['javascript:alert(1)', 'must be a URL: https://…'],
    ['https://user@example.com', 'must not hold credentials'],
    ['https://:password@example.com', 'must not hold credentials'],
    ['https://example.com/#part', 'must not have a fragment'],
    ['https://example.com/\0', UNFIT],
    ['https://example.com/\tx', UNFIT],
    ['https://exam\nple.com', UNFIT],
    ['https://example.com/a b', UNFIT],
    [' https://example.com', UNFIT],
    ['https://example.com/\ud800', UNFIT],
    ['http://example.com:22', 'must name port 80, 443 or one from 1024'],
    ['http://example.com:1023', 'must name port 80, 443 or one from 1024'],
  ])('%j is refused', (url, reason) => {
    expect(whyNoTarget(url, PUBLIC)).toBe(reason);
  });

  it('may have 2,048 characters', () => {
    const url = (length: number) => 'https://example.com/'.padEnd(length, 'x');
    expect(whyNoTarget(url(2_048), PUBLIC)).toBeNull();
    expect(whyNoTarget(url(2_049), PUBLIC)).toBe('must have at most 2048 characters');
  });
});
