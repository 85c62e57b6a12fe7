/** Organizations on a test clock that select, pay and cancel plans, as their owners would. */
import { encodeId } from '../../src/graphql/ids.ts';
import {
  ApplyCatalogDocument,
  CancelSubscriptionDocument,
  ChangePlanDocument,
  type ChangePlanMutation,
  CreateOrganizationDocument,
  DebitDocument,
  LedgerDocument,
  SubscriptionDocument,
  type SubscriptionStateFragment,
} from '../generated/documents.ts';
import { demoWith } from './catalog-files.ts';
import { startTestGateway, type TestClient, type TestGateway } from './gateway.ts';
import { advanceTo, aKey, anApiKey } from './given.ts';

export interface Account {
  readonly id: string;
  readonly slug: string;
  readonly client: TestClient;
}

/** A gateway on the demo's catalog with these plans before its own. */
export async function startWithPlans(plans: string): Promise<TestGateway> {
  const gateway = await startTestGateway();
  const operator = gateway.as(gateway.demo.tokens.operator);
  const { applyCatalog } = await operator.run(ApplyCatalogDocument, { input: { yaml: demoWith(['plans:\n', plans]) } });
  if (applyCatalog.__typename !== 'ApplyCatalogPayload') throw new Error(JSON.stringify(applyCatalog));
  return gateway;
}

/** An organization without a plan and a credit, whose clock stands at an instant. */
export async function anAccount(gateway: TestGateway, now: string, timeZone = 'UTC'): Promise<Account> {
  const slug = `o-${aKey()}`;
  const operator = gateway.as(gateway.demo.tokens.operator);
  const { createOrganization } = await operator.run(CreateOrganizationDocument, {
    input: { slug, name: 'O', timeZone, testClock: true },
  });
  if (createOrganization.__typename !== 'OrganizationPayload') throw new Error(JSON.stringify(createOrganization));
  const { id } = createOrganization.organization;
  await advanceTo(gateway, id, now);
  return { id, slug, client: gateway.as(await anApiKey(gateway, id, 'MASTER')) };
}

export interface Choice {
  readonly when?: 'NOW' | 'PERIOD_END';
  readonly prorationAt?: string;
  readonly idempotencyKey?: string;
}

export async function select(
  { client }: Pick<Account, 'client'>,
  plan: string,
  choice: Choice = {},
): Promise<ChangePlanMutation['selectPlan']> {
  const input = { planId: encodeId('Plan', plan), idempotencyKey: aKey(), ...choice };
  return (await client.run(ChangePlanDocument, { input })).selectPlan;
}

export const cancel = async ({ client }: Account, atPeriodEnd?: boolean) =>
  (await client.run(CancelSubscriptionDocument, { input: atPeriodEnd === undefined ? {} : { atPeriodEnd } }))
    .cancelSubscription;

export const debit = async ({ client }: Account, amount: string) =>
  (await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount } })).debit;

/** Null before there is one. */
export async function standingOf({ client, slug }: Account): Promise<SubscriptionStateFragment | null> {
  return (await client.run(SubscriptionDocument, { slug })).organization?.subscription ?? null;
}

/** The ledger, oldest first: reason, signed amount, and when it counts, cut to so many characters of the instant. */
export async function historyOf({ client, slug }: Account, precision: 'day' | 'minute'): Promise<string[]> {
  const { organization } = await client.run(LedgerDocument, { slug, first: 100 });
  const entries = (organization?.wallet?.ledger.edges ?? []).map(({ node }) => node).toReversed();
  const length = precision === 'day' ? 10 : 16;
  return entries.map(
    ({ reasonCode, direction, amount, effectiveAt }) =>
      `${reasonCode} ${direction === 'DEBIT' ? '-' : ''}${amount} ${effectiveAt.slice(0, length)}`,
  );
}
