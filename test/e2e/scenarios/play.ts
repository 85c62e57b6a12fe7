/** What the scenarios do as users of the gateway do it: subscribe, charge, hold, refund, buy and look at their credits. */
import { randomUUID } from 'node:crypto';
import { encodeId } from '../../../src/graphql/ids.ts';
import { projectPath } from '../../../src/project-path.ts';
import {
  type AuthorizeInput,
  BalanceChangedDocument,
  type BalanceChangedSubscription,
  type CaptureInput,
  ChangePlanDocument,
  CreateOrganizationDocument,
  type DebitInput,
  LedgerDocument,
  type LedgerFilter,
  LotsDocument,
  OffersDocument,
  PurchasePackageDocument,
  PurchasesDocument,
  type RecordUsageInput,
  ScenarioAuthorizeDocument,
  ScenarioCaptureDocument,
  ScenarioDebitDocument,
  ScenarioEstimateDocument,
  ScenarioRecordUsageDocument,
  ScenarioRefundDocument,
  ScenarioReleaseDocument,
  ScenarioSelectPlanDocument,
  type UsageInput,
  WalletStateDocument,
} from '../../generated/documents.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given } from '../../support/given.ts';
import { type Live, subscribe } from '../streams.ts';

export const startScenario = (name: string, env: Readonly<Record<string, string>> = {}): Promise<TestGateway> =>
  startTestGateway({ env: { ...env, PURSER_CATALOG: projectPath(`catalogs/${name}.yaml`) } });

/** Ten in the morning of a Saturday in UTC: far from midnight, so that no day ends while a test runs. */
export const MORNING = '2040-03-10T10:00:00.000Z';

interface CustomerOptions {
  readonly timeZone?: string;
  /** Where its clock stands. */
  readonly now?: string;
  /** `free`, which it selects itself, a paid one, which it has already, or none at all. */
  readonly plan?: string | null;
}

/** An organization as its operator creates it and its owner begins with it. */
export async function aCustomer(
  gateway: TestGateway,
  { timeZone = 'UTC', now = MORNING, plan = 'free' }: CustomerOptions = {},
): Promise<Given> {
  // Only free plans can be selected; a customer of a paid one comes with it.
  if (plan !== null && plan !== 'free') return anOrganization(gateway, { timeZone, now, plan });
  const slug = `org-${randomUUID()}`;
  const { createOrganization } = await gateway
    .as(gateway.demo.tokens.operator)
    .run(CreateOrganizationDocument, { input: { slug, name: slug, timeZone, testClock: true } });
  const { id } = as('OrganizationPayload', createOrganization).organization;
  await advanceTo(gateway, id, now);
  const secret = await anApiKey(gateway, id, 'MASTER');
  const client = gateway.as(secret);
  if (plan !== null) as('SelectPlanPayload', await selectPlan(client, plan));
  return { id, slug, secret, client };
}

/** The answer as the one of its types that it must be; throws where it is another. */
export function as<Answer extends { readonly __typename: string }, Name extends Answer['__typename']>(
  name: Name,
  answer: Answer,
): Extract<Answer, { readonly __typename: Name }> {
  if (!isA(name, answer)) throw new Error(`no ${name} but ${JSON.stringify(answer)}`);
  return answer;
}

const isA = <Answer extends { readonly __typename: string }, Name extends Answer['__typename']>(
  name: Name,
  answer: Answer,
): answer is Extract<Answer, { readonly __typename: Name }> => answer.__typename === name;

type Keyed<Input> = Omit<Input, 'idempotencyKey'> & { readonly idempotencyKey?: string };

export async function selectPlan(client: TestClient, key: string) {
  const input = { planId: encodeId('Plan', key), idempotencyKey: aKey() };
  return (await client.run(ScenarioSelectPlanDocument, { input })).selectPlan;
}

export async function debit(client: TestClient, input: Keyed<DebitInput>) {
  return (await client.run(ScenarioDebitDocument, { input: { idempotencyKey: aKey(), ...input } })).debit;
}

export async function charged(client: TestClient, input: Keyed<DebitInput>) {
  return as('DebitPayload', await debit(client, input));
}

/** Leaves exactly so many credits to spend. */
export async function spendDownTo(customer: Given, left: string): Promise<void> {
  const { totalAvailable } = await wallet(customer);
  await charged(customer.client, { amount: String(Number(totalAvailable) - Number(left)) });
}

export async function estimate(client: TestClient, usage: readonly UsageInput[]) {
  const answer = await client.run(ScenarioEstimateDocument, { input: { usage: [...usage] } });
  return as('Estimate', answer.estimate);
}

export async function record(client: TestClient, input: RecordUsageInput) {
  const answer = await client.run(ScenarioRecordUsageDocument, { input });
  return as('RecordUsagePayload', answer.recordUsage);
}

export async function authorize(client: TestClient, input: Keyed<AuthorizeInput>) {
  return (await client.run(ScenarioAuthorizeDocument, { input: { idempotencyKey: aKey(), ...input } })).authorize;
}

export async function held(client: TestClient, input: Keyed<AuthorizeInput>) {
  return as('HoldPayload', await authorize(client, input));
}

export async function captured(client: TestClient, input: Keyed<CaptureInput>) {
  const answer = await client.run(ScenarioCaptureDocument, { input: { idempotencyKey: aKey(), ...input } });
  return as('CapturePayload', answer.capture);
}

export async function released(client: TestClient, holdId: string) {
  const answer = await client.run(ScenarioReleaseDocument, { input: { idempotencyKey: aKey(), holdId } });
  return as('HoldPayload', answer.release);
}

export async function refund(client: TestClient, transactionId: string, amount?: string) {
  const input = { idempotencyKey: aKey(), transactionId, ...(amount === undefined ? {} : { amount }) };
  return (await client.run(ScenarioRefundDocument, { input })).refund;
}

/** Buys a package and pays at its checkout. */
export async function buy(client: TestClient, packageKey: string): Promise<void> {
  const { packages } = await client.run(OffersDocument, {});
  const offer = packages.find(({ key }) => key === packageKey);
  if (!offer) throw new Error(`no package ${packageKey} is on sale`);
  const input = { packageId: offer.id, idempotencyKey: aKey() };
  const begun = as('PurchasePayload', (await client.run(PurchasePackageDocument, { input })).purchasePackage);
  const paid = await fetch(`${begun.purchase?.checkoutUrl}/pay`, { method: 'POST' });
  if (paid.status !== 200) throw new Error(`the payment was answered with ${paid.status}`);
}

/** Selects a plan with a price and pays for it. */
export async function subscribeTo({ client }: Pick<Given, 'client'>, planKey: string): Promise<void> {
  const input = { planId: encodeId('Plan', planKey), idempotencyKey: aKey() };
  const { purchase } = as('SelectPlanPayload', (await client.run(ChangePlanDocument, { input })).selectPlan);
  const paid = await fetch(`${purchase?.checkoutUrl}/pay`, { method: 'POST' });
  if (paid.status !== 200) throw new Error(`the payment was answered with ${paid.status}`);
}

/** What was paid for the periods of plans, newest first: status and price in minor units. */
export async function periodsPaid({ client, slug }: Pick<Given, 'client' | 'slug'>): Promise<string[]> {
  const { organization } = await client.run(PurchasesDocument, { slug, first: 50 });
  const purchases = (organization?.purchases?.edges ?? []).map(({ node }) => node);
  return purchases.flatMap(({ kind, status, price }) => (kind === 'PLAN' ? [`${status} ${price.amountMinor}`] : []));
}

export async function wallet({ client, slug }: Pick<Given, 'client' | 'slug'>) {
  const { organization } = await client.run(WalletStateDocument, { slug });
  if (!organization?.wallet) throw new Error(`no wallet of ${slug}`);
  return organization.wallet;
}

/** What can be spent of each bucket, in burn order. */
export async function buckets(customer: Given): Promise<Record<string, string>> {
  return Object.fromEntries((await wallet(customer)).buckets.map(({ key, available }) => [key, available]));
}

export async function lots({ client, slug }: Given, active?: boolean) {
  const { organization } = await client.run(LotsDocument, { slug, ...(active === undefined ? {} : { active }) });
  return organization?.wallet?.lots.edges.map(({ node }) => node) ?? [];
}

/** The ledger, oldest first. */
export async function ledger({ client, slug }: Given, filter: LedgerFilter = {}) {
  const { organization } = await client.run(LedgerDocument, { slug, filter, first: 100 });
  return (organization?.wallet?.ledger.edges ?? []).map(({ node }) => node).toReversed();
}

/** The same as reason and signed amount. */
export async function history(customer: Given, filter: LedgerFilter = {}): Promise<[string, string][]> {
  const entries = await ledger(customer, filter);
  return entries.map(({ reasonCode, direction, amount }) => [
    reasonCode,
    direction === 'DEBIT' ? `-${amount}` : amount,
  ]);
}

/** The balance over WebSocket, behind its opening state. */
export async function watchBalance(gateway: TestGateway, { id, secret }: Given) {
  const live = subscribe('websocket', gateway, secret, BalanceChangedDocument, { organizationId: id });
  await live.next();
  return live;
}

export async function nextChange(live: Live<BalanceChangedSubscription>) {
  const { balanceChanged } = await live.next();
  const { reasonCode, change, totalAvailable } = balanceChanged;
  return { reasonCode, change, totalAvailable, held: balanceChanged.held };
}
