/**
 * Where webhooks may go. A gateway stands where its database and the clouds' metadata services are, so that a URL that
 * somebody gives it is a way in. What a name resolves to is judged when it is connected to (sender.ts); here is judged what
 * can be told from the URL alone, so that whoever writes it learns it at once.
 */
import { BlockList, isIP } from 'node:net';

/**
 * - PUBLIC: public addresses only.
 * - LOOPBACK: this machine as well, for developing.
 * - ANY: private networks as well.
 */
export type WebhookTargets = 'PUBLIC' | 'LOOPBACK' | 'ANY';

export interface TargetRules {
  readonly targets: WebhookTargets;
  readonly httpsOnly: boolean;
}

const MAX_URL_CHARACTERS = 2_048;
export const LOOPBACK_ADDRESSES = ['127.0.0.1', '::1'];
const SPECIAL_NETWORKS: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];
/** Of IPv6 only global unicast is public, without the parts of it that stand for something else. */
const GLOBAL_UNICAST: readonly [string, number] = ['2000::', 3];
const SPECIAL_OF_GLOBAL_UNICAST: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
];

const special = new BlockList();
for (const [network, bits] of SPECIAL_NETWORKS) special.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of SPECIAL_OF_GLOBAL_UNICAST) special.addSubnet(network, bits, 'ipv6');
const globalUnicast = new BlockList();
globalUnicast.addSubnet(...GLOBAL_UNICAST, 'ipv6');

function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !special.check(address, 'ipv4');
  return globalUnicast.check(address, 'ipv6') && !special.check(address, 'ipv6');
}

function isRefusedAddress(address: string, targets: WebhookTargets): boolean {
  if (targets === 'ANY') return false;
  return !(isPublic(address) || (targets === 'LOOPBACK' && LOOPBACK_ADDRESSES.includes(address)));
}

/** Web ports, and those that no service of the system listens on. */
const isAllowedPort = (port: number): boolean => port === 80 || port === 443 || port >= 1_024;

/** What a parser of URLs drops or replaces in silence, and what no text in PostgreSQL holds: controls, spaces, lone surrogates. */
const UNFIT = /[\p{Cc}\p{Cs}\s]/u;

/** What is wrong with a URL, for whoever wrote it; null where nothing is. */
export function whyNoTarget(text: string, { targets, httpsOnly }: TargetRules): string | null {
  if (text.length > MAX_URL_CHARACTERS) return `must have at most ${MAX_URL_CHARACTERS} characters`;
  if (UNFIT.test(text)) return 'must hold neither spaces nor control characters nor half of a surrogate pair';
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) return 'must be a URL: https://…';
  if (httpsOnly && url.protocol !== 'https:') return 'must begin with https://';
  if (url.username !== '' || url.password !== '') return 'must not hold credentials';
  if (url.hash !== '') return 'must not have a fragment';
  if (url.port !== '' && !isAllowedPort(Number(url.port))) return 'must name port 80, 443 or one from 1024';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && isRefusedAddress(host, targets)) return 'must be a public address';
  return null;
}
