/** What a start shows: where the gateway is and how to sign in to the demo. */
import { join } from 'node:path';
import type { Gateway } from './compose.ts';
import type { Config } from './config.ts';
import type { Demo } from './demo/seed.ts';
import { encodeId } from './graphql/ids.ts';

/** The content of demo.json, for scripts. */
export function demoManifest(gateway: Gateway, demo: Demo): object {
  const named = ({ organizationId, slug }: Demo['organization']) => ({
    id: encodeId('Organization', organizationId),
    slug,
  });
  return {
    pid: process.pid,
    endpoint: gateway.endpoint,
    wsEndpoint: gateway.wsEndpoint,
    databaseUrl: gateway.databaseUrl,
    organization: named(demo.organization),
    tokens: demo.tokens,
    lapsed: { organization: named(demo.lapsed), tokens: demo.lapsedTokens },
    other: { organization: named(demo.other), tokens: demo.otherTokens },
  };
}

export function banner(gateway: Gateway, config: Config): string {
  const lines = [
    '',
    '  Purser is running.',
    '',
    `  GraphQL    ${gateway.endpoint}`,
    `  WebSocket  ${gateway.wsEndpoint}`,
  ];
  if (config.graphiql) lines.push(`  GraphiQL   ${gateway.endpoint} in a browser`);
  if (gateway.demo) lines.push(...demoLines(gateway.demo, join(config.dataDirectory, 'demo.json')));
  return `${lines.join('\n')}\n\n`;
}

function demoLines(demo: Demo, path: string): string[] {
  const { tokens } = demo;
  return [
    '',
    `  The demo organization is "${demo.organization.slug}". Send one of these as "Authorization: Bearer …":`,
    '',
    `  usage key   ${tokens.usageKey}   charges usage`,
    `  read key    ${tokens.readKey}   reads balance and ledger`,
    `  master key  ${tokens.masterKey}   does everything in the organization`,
    '',
    ...(['owner', 'admin', 'editor', 'viewer', 'operator'] as const).map(
      (role) => `  ${role.padEnd(10)}  ${tokens[role]}`,
    ),
    '',
    `  All of it, for scripts: ${path}`,
  ];
}
