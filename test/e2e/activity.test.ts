/** The feed: everything that happened, in words, each thing once; usage in groups that end. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeId } from '../../src/graphql/ids.ts';
import {
  ActivityAddedDocument,
  type ActivityAddedSubscription,
  CancelSubscriptionDocument,
  ConfigureAutoTopUpDocument,
  CreateApiKeyDocument,
  CreateProjectDocument,
  ReleaseDocument,
  ResumeSubscriptionDocument,
  RevokeApiKeyDocument,
  UpdateOrganizationDocument,
} from '../generated/documents.ts';
import { anAccount, select } from '../support/accounts.ts';
import { activityOf, activityPage, rest, summariesOf, sumsOf } from '../support/activity.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anApiKey, anOrganization, type Given, grant } from '../support/given.ts';
import { aFoundation, anInvitation, aPerson, JWT_SECRET } from '../support/people.ts';
import { begun } from '../support/purchases.ts';
import { authorize, capture, charge, refund } from '../support/usage.ts';
import { forgeCursor } from './cursors.ts';
import { type Live, subscribe, TRANSPORTS, type Transport } from './streams.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ env: { PURSER_JWT_SECRET: JWT_SECRET } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

const CREDITS = { credits: { purchased: '1000' } };

async function release({ client }: Given, holdId: string): Promise<void> {
  const answer = await client.run(ReleaseDocument, { input: { holdId, idempotencyKey: aKey() } });
  expect(answer.release.__typename).toBe('HoldPayload');
}

describe('usage in the feed', () => {
  it('is told once it has rested for five minutes, a group for each task and execution', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    const { client, id } = organization;
    await charge(client, { amount: '2', taskId: 'crawl-7' });
    await charge(client, { amount: '0.5', taskId: 'crawl-7' });
    await charge(client, { amount: '3', taskId: 'crawl-7', executionId: 'run-9' });
    await charge(client, { amount: '1' });
    expect(await activityOf(organization, 'USAGE')).toEqual([]);

    await rest(gateway, id, 6);

    const told = await activityOf(organization, 'USAGE');
    expect(
      told.map(({ summary, credits, taskId, executionId }) => ({ summary, credits, taskId, executionId })),
    ).toEqual([
      { summary: '1 operation: 1 credit', credits: '-1', taskId: null, executionId: null },
      {
        summary: '1 operation of execution run-9 of task crawl-7: 3 credits',
        credits: '-3',
        taskId: 'crawl-7',
        executionId: 'run-9',
      },
      { summary: '2 operations of task crawl-7: 2.5 credits', credits: '-2.5', taskId: 'crawl-7', executionId: null },
    ]);
    expect(new Set(told.map(({ actor }) => actor.__typename))).toEqual(new Set(['ApiKey']));
    expect(await activityOf(organization, 'USAGE')).toEqual(told);
    expect(await sumsOf(gateway, id)).toMatchObject({
      charged: '-6500000',
      told: '-6500000',
      operations: '4',
      open: '0',
    });
  });

  it('begins another group after the rest, and counts free work', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    await charge(organization.client, { amount: '1', taskId: 't' });
    await rest(gateway, organization.id, 6);
    await charge(organization.client, { amount: '1', taskId: 't' });
    await charge(organization.client, { usage: [{ meter: 'read' }], taskId: 't' });
    await rest(gateway, organization.id, 6);
    const [second, first] = await activityOf(organization, 'USAGE');
    expect(first?.summary).toBe('1 operation of task t: 1 credit');
    expect(second?.summary).toBe('2 operations of task t: 1 credit');
  });

  it('is told at once where a capture ends the last hold of its work', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    const { client } = organization;
    const work = { taskId: 'crawl', executionId: 'run' };
    const first = await authorize(client, { amount: '10', ...work });
    const second = await authorize(client, { amount: '10', ...work });
    await capture(client, { holdId: first, amount: '4' });
    expect(await activityOf(organization, 'USAGE')).toEqual([]);
    await capture(client, { holdId: second, amount: '5' });
    expect(await summariesOf(organization, 'USAGE', 'HOLD')).toEqual([
      'Held 10 credits for execution run of task crawl',
      'Held 10 credits for execution run of task crawl',
      '2 operations of execution run of task crawl: 9 credits',
    ]);
  });

  it('is told at once where a release does, and not while it lapses', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    const { client, id } = organization;
    const hold = await authorize(client, { amount: '10', executionId: 'run' });
    await capture(client, { holdId: hold, amount: '4', final: false });
    expect(await activityOf(organization, 'USAGE')).toEqual([]);
    await release(organization, hold);
    expect(await summariesOf(organization, 'USAGE', 'HOLD')).toEqual([
      'Held 10 credits for execution run',
      'Released a hold of execution run: 6 credits can be spent again',
      '1 operation of execution run: 4 credits',
    ]);

    await authorize(client, { amount: '3', executionId: 'forgotten', expiresInSeconds: 60 });
    await rest(gateway, id, 2);
    const [lapse] = await activityOf(organization, 'HOLD');
    expect(lapse).toMatchObject({
      summary: 'A hold of execution forgotten lapsed: 3 credits can be spent again',
      actor: { __typename: 'SystemActor' },
      credits: null,
    });
  });

  it('is told after an hour though it never rests', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    for (let minute = 0; minute < 64; minute += 4) {
      await charge(organization.client, { amount: '1', taskId: 'busy' });
      await rest(gateway, organization.id, 4);
    }
    expect(await summariesOf(organization, 'USAGE')).toEqual(['15 operations of task busy: 15 credits']);
    await rest(gateway, organization.id, 5);
    expect(await summariesOf(organization, 'USAGE')).toEqual([
      '15 operations of task busy: 15 credits',
      '1 operation of task busy: 1 credit',
    ]);
  });

  it('keeps odd texts in one line, and finds them again by their task', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    const odd = [
      'a\nb\u2028c',
      `'); DROP TABLE activity; --`,
      '<script>alert(1)</script>',
      '\u202egnp.exe',
      '"{},\\',
      '"',
      'é🙂'.repeat(80),
    ];
    for (const taskId of odd) await charge(organization.client, { amount: '1', taskId });
    await rest(gateway, organization.id, 6);
    for (const taskId of odd) {
      const { edges } = await activityPage(organization, { filter: { taskId } });
      expect(edges.map(({ node }) => [node.taskId, node.credits])).toEqual([[taskId, '-1']]);
      expect(edges[0]?.node.summary).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202e]/u);
    }
    expect((await activityPage(organization, { filter: { taskId: odd[0] ?? '' } })).edges[0]?.node.summary).toBe(
      '1 operation of task a b c: 1 credit',
    );
    expect(await sumsOf(gateway, organization.id)).toMatchObject({ told: '-7000000' });
  });
});

describe('what moves credits otherwise', () => {
  it('tells of grants, adjustments, refunds and purchases, with who did it', async () => {
    const organization = await anOrganization(gateway, { credits: { promotional: '20' } });
    const { client, id } = organization;
    const debit = await charge(client, { amount: '4', taskId: 'job' });
    await refund(client, { transactionId: debit, amount: '1', reason: 'half\ndone' });
    const { checkoutUrl } = await begun(organization);
    for (const step of ['pay', 'dispute', 'dispute-won']) {
      expect((await fetch(`${checkoutUrl}/${step}`, { method: 'POST' })).ok).toBe(true);
    }
    const declined = await begun(organization);
    await fetch(`${declined.checkoutUrl}/pay`, { method: 'POST', body: new URLSearchParams({ card: 'declined' }) });

    const told = (await activityOf(organization, 'PURCHASE', 'REFUND', 'ADJUSTMENT')).toReversed();
    const growth = 'Growth: 5500 credits, 500 of them bonus (45.00 USD)';
    expect(told.map(({ kind, summary, credits, actor }) => [kind, summary, credits, actor.__typename])).toEqual([
      ['ADJUSTMENT', 'Granted 20 credits: test', '20', 'SystemActor'],
      ['REFUND', 'Refunded 1 credit of task job: half done', '1', 'ApiKey'],
      ['PURCHASE', `Bought ${growth}`, '5500', 'ApiKey'],
      ['PURCHASE', `The payment for ${growth} is disputed: what is left of its credits is frozen`, null, 'SystemActor'],
      ['PURCHASE', `The dispute about ${growth} was won`, null, 'SystemActor'],
      ['PURCHASE', `The payment for ${growth} failed`, null, 'SystemActor'],
    ]);
    expect(await sumsOf(gateway, id)).toMatchObject({ count: (await sumsOf(gateway, id)).highest });
  });

  it('tells of what a purchase that is given back takes away', async () => {
    const organization = await anOrganization(gateway);
    const { checkoutUrl } = await begun(organization);
    await fetch(`${checkoutUrl}/pay`, { method: 'POST' });
    await fetch(`${checkoutUrl}/refund`, { method: 'POST' });
    const [last] = await activityOf(organization, 'PURCHASE');
    expect(last).toMatchObject({
      summary: expect.stringMatching(/^The payment for Growth.* was given back$/),
      credits: '-5500',
    });
  });

  it('tells the story of a plan', async () => {
    const account = await anAccount(gateway, '2040-03-10T10:00:00.000Z');
    await select(account, 'free');
    await account.client.run(CancelSubscriptionDocument, { input: {} });
    await account.client.run(ResumeSubscriptionDocument, { input: {} });
    await advanceTo(gateway, account.id, '2040-04-12T10:00:00.000Z');
    await account.client.run(CancelSubscriptionDocument, { input: { atPeriodEnd: false } });
    expect(await summariesOf(account, 'PLAN')).toEqual([
      'Began the Free plan',
      'Canceled the Free plan at the end of its period',
      'Resumed the Free plan',
      'Renewed the Free plan',
      'Canceled the Free plan',
    ]);
    const plan = await activityOf(account, 'PLAN');
    expect(plan.map(({ actor }) => actor.__typename).toReversed()).toEqual([
      'ApiKey',
      'ApiKey',
      'ApiKey',
      'SystemActor',
      'ApiKey',
    ]);
  });
});

describe('what operations do', () => {
  it('is told of members, keys and settings, without addresses and secrets', async () => {
    const foundation = await aFoundation(gateway);
    const { owner, id, slug } = foundation;
    const reader = { client: owner.client, slug };
    const { token, membershipId } = await anInvitation(foundation, { role: 'EDITOR' });
    const person = await aPerson(gateway);
    await person.client.raw('mutation($t: String!) { acceptInvitation(input: { token: $t }) { __typename } }', {
      t: token,
    });
    await owner.client.raw(
      'mutation($m: ID!) { changeMemberRole(input: { membershipId: $m, role: ADMIN }) { __typename } removeMember(input: { membershipId: $m }) { __typename } }',
      { m: membershipId },
    );
    const withdrawn = await anInvitation(foundation);
    await owner.client.raw('mutation($m: ID!) { removeMember(input: { membershipId: $m }) { __typename } }', {
      m: withdrawn.membershipId,
    });
    const { createApiKey } = await owner.client.run(CreateApiKeyDocument, {
      input: { organizationId: id, name: 'crawler\u0007', scopes: ['USAGE_WRITE', 'BILLING_READ'] },
    });
    if (createApiKey.__typename !== 'CreateApiKeyPayload') throw new Error(JSON.stringify(createApiKey));
    for (let times = 0; times < 2; times++) {
      await owner.client.run(RevokeApiKeyDocument, { input: { apiKeyId: createApiKey.apiKey.id } });
    }
    await owner.client.run(CreateProjectDocument, { input: { organizationId: id, key: 'p', name: 'Search' } });
    await owner.client.run(UpdateOrganizationDocument, { input: { organizationId: id, name: 'Acme' } });

    const told = (await activityOf(reader)).toReversed();
    expect(told.map(({ kind, summary }) => `${kind} ${summary}`)).toEqual([
      'SETTINGS Created the organization',
      'MEMBER Invited somebody as an editor',
      'MEMBER Joined as an editor',
      'MEMBER Changed a member’s role from editor to admin',
      'MEMBER Removed a member who was an admin',
      'MEMBER Invited somebody as a viewer',
      'MEMBER Withdrew the invitation of a viewer',
      'API_KEY Created the API key crawler with usage:write, billing:read',
      'API_KEY Revoked the API key crawler',
      'SETTINGS Created the project Search (p)',
      'SETTINGS Renamed the organization to Acme',
    ]);
    expect(new Set(told.map(({ actor }) => actor.__typename))).toEqual(new Set(['User']));
    expect(JSON.stringify(told)).not.toContain('@');
    expect(JSON.stringify(told)).not.toContain(createApiKey.secret);
  });

  it('is told of time zones, clocks and top-ups by themselves', async () => {
    const organization = await anOrganization(gateway, { plan: 'scale' });
    const { client, id } = organization;
    await client.run(UpdateOrganizationDocument, { input: { timeZone: 'Europe/Berlin' } });
    const input = { enabled: true, threshold: '5', packageId: encodeId('Package', 'growth') };
    await client.run(ConfigureAutoTopUpDocument, { input });
    await client.run(ConfigureAutoTopUpDocument, { input: { enabled: false } });
    await rest(gateway, id, 1);
    const settings = await summariesOf(organization, 'SETTINGS');
    expect(settings[0]).toBe('Created the organization');
    expect(settings[1]).toMatch(/^Changed the time zone to Europe\/Berlin from \d{4}-\d\d-\d\dT\S+Z on$/);
    expect(settings.slice(2, 4)).toEqual([
      'Switched on top-ups by themselves, below 5 credits',
      'Switched off top-ups by themselves',
    ]);
    expect(settings[4]).toMatch(/^Moved the test clock to \d{4}-/);
  });

  it('leaves nothing where the operation leaves nothing', async () => {
    const organization = await anOrganization(gateway);
    const before = await sumsOf(gateway, organization.id);
    await organization.client.run(CreateProjectDocument, { input: { key: 'NOT A KEY', name: 'x' } });
    await organization.client.raw('mutation { debit(input: { idempotencyKey: "k", amount: "5" }) { __typename } }');
    expect(await sumsOf(gateway, organization.id)).toEqual(before);
  });
});

describe('pages of the feed', () => {
  it('are newest first, and skip and repeat nothing while more is written', async () => {
    const organization = await anOrganization(gateway);
    for (let n = 0; n < 7; n++) await grant(gateway, organization.id, 'promotional', `${n + 1}`);
    const all = (await activityOf(organization)).map(({ id }) => id);
    const seen: string[] = [];
    for (let after: string | null = null; ; ) {
      const page: Awaited<ReturnType<typeof activityPage>> = await activityPage(organization, { first: 2, after });
      seen.push(...page.edges.map(({ node }) => node.id));
      await grant(gateway, organization.id, 'promotional', '1');
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor ?? null;
    }
    expect(seen).toEqual(all);
  });

  it('are filtered by time, half open, by kinds, task and execution', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    const { client, id } = organization;
    await charge(client, { amount: '1', taskId: 't', executionId: 'e1' });
    await charge(client, { amount: '2', taskId: 't', executionId: 'e2' });
    await rest(gateway, id, 6);
    const ask = async (filter: object) =>
      (await activityPage(organization, { filter })).edges.map(({ node }) => node.summary);
    expect(await ask({ taskId: 't' })).toHaveLength(2);
    expect(await ask({ executionId: 'e1' })).toEqual(['1 operation of execution e1 of task t: 1 credit']);
    expect(await ask({ taskId: 't', executionId: 'e3' })).toEqual([]);
    expect(await ask({ kinds: [] })).toEqual([]);
    expect(await ask({ kinds: ['USAGE', 'ADJUSTMENT'], taskId: 't' })).toHaveLength(2);
    const [granted] = await activityOf(organization, 'ADJUSTMENT');
    const at = granted?.occurredAt ?? '';
    expect(await ask({ kinds: ['ADJUSTMENT'], from: at })).toHaveLength(1);
    expect(await ask({ kinds: ['ADJUSTMENT'], to: at })).toEqual([]);
    const { errors } = await client.raw(
      `{ organization(slug: "${organization.slug}") { activity(filter: { taskId: "a\\u0000b" }) { edges { cursor } } } }`,
    );
    expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  it('of a time range are in the order in which things occurred, and skip and repeat nothing', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    const { client, id } = organization;
    for (let n = 0; n < 4; n++) {
      // What is charged before is written after it.
      await charge(client, { amount: '1', taskId: `t${n}` });
      await rest(gateway, id, 1);
    }
    await rest(gateway, id, 6);
    const from = '2020-01-01T00:00:00.000Z';
    const all = (await activityPage(organization, { filter: { from }, first: 100 })).edges.map(({ node }) => node);
    expect(all.map(({ occurredAt }) => occurredAt)).toEqual(
      all
        .map(({ occurredAt }) => occurredAt)
        .toSorted()
        .toReversed(),
    );
    const byNumber = await activityOf(organization);
    expect(all.map((node) => node.id)).not.toEqual(byNumber.map((node) => node.id));
    expect(all.map((node) => node.id).toSorted()).toEqual(byNumber.map((node) => node.id).toSorted());
    const seen: string[] = [];
    for (let after: string | null = null; ; ) {
      const page: Awaited<ReturnType<typeof activityPage>> = await activityPage(organization, {
        filter: { from },
        first: 2,
        after,
      });
      seen.push(...page.edges.map(({ node }) => node.id));
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor ?? null;
    }
    expect(seen).toEqual(all.map((node) => node.id));
    const beyond = forgeCursor((await activityPage(organization)).pageInfo.endCursor ?? '', '999999');
    await expect(activityPage(organization, { filter: { from }, after: beyond })).rejects.toThrow(
      'after is not a cursor of this list.',
    );
  });

  it.each([
    ['first: 101', 'first must be at most 100.'],
    ['first: -1', 'first must not be negative.'],
    ['after: "x"', 'after is not a cursor of this list.'],
  ])('refuse %s', async (argument, message) => {
    const { client, slug } = await anOrganization(gateway);
    const { errors } = await client.raw(
      `{ organization(slug: "${slug}") { activity(${argument}) { edges { cursor } } } }`,
    );
    expect(errors).toMatchObject([{ message, extensions: { code: 'BAD_USER_INPUT' } }]);
  });

  it('refuse the cursor of another organization, in streams as well', async () => {
    const organization = await anOrganization(gateway);
    const other = await anOrganization(gateway);
    const after = (await activityPage(other)).edges[0]?.cursor ?? '';
    await expect(activityPage(organization, { after })).rejects.toThrow('after is not a cursor of this organization.');
    await using live = watch('sse', organization, after);
    expect((await live.result())?.errors?.[0]?.message).toBe('after is not a cursor of this organization.');
  });

  it('take as many statements for 2 rows as for 60, actors included', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    const { client } = organization;
    for (let n = 0; n < 30; n++) {
      await authorize(client, { amount: '1', executionId: `e${n}` });
      await grant(gateway, organization.id, 'promotional', '1');
    }
    const statements = async (first: number) => {
      gateway.statements.length = 0;
      const { edges } = await activityPage(organization, { first });
      expect(edges).toHaveLength(first);
      return gateway.statements.length;
    };
    expect(await statements(60)).toBe(await statements(2));
  });
});

describe('an activity by its id', () => {
  it('is what the feed shows, and nothing to a stranger or a key that may not read', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    const [activity] = await activityOf(organization);
    const ask = async (token: string) =>
      (
        await gateway
          .as(token)
          .raw<{ node: object | null }>(
            `{ node(id: "${activity?.id}") { __typename id ... on Activity { summary kind } } }`,
          )
      ).data?.node;
    expect(await ask(organization.secret)).toEqual({
      __typename: 'Activity',
      id: activity?.id,
      summary: activity?.summary,
      kind: activity?.kind,
    });
    expect(await ask((await anOrganization(gateway)).secret)).toBeNull();
    expect(await ask(await anApiKey(gateway, organization.id, 'USAGE_WRITE'))).toBeNull();
  });
});

type Added = ActivityAddedSubscription;

function watch(transport: Transport, { id, secret }: Pick<Given, 'id' | 'secret'>, after?: string): Live<Added> {
  return subscribe(transport, gateway, secret, ActivityAddedDocument, {
    organizationId: id,
    ...(after === undefined ? {} : { after }),
  });
}

describe.each(TRANSPORTS)('activityAdded over %s', (transport) => {
  it('goes on from a cursor of the page, with what engine, operations and groups write, each once', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    const { client, id } = organization;
    const start = (await activityPage(organization)).edges[0]?.cursor ?? '';
    await authorize(client, { amount: '5', executionId: 'run' });
    await using live = watch(transport, organization, start);
    const first = (await live.next()).activityAdded;
    expect(first.activity.summary).toBe('Held 5 credits for execution run');
    await client.run(CreateProjectDocument, { input: { key: 'p', name: 'P' } });
    expect((await live.next()).activityAdded.activity.summary).toBe('Created the project P (p)');
    await charge(client, { amount: '3', taskId: 'job' });
    await rest(gateway, id, 6);
    const [moved, usage] = (await live.take(2)).map(({ activityAdded }) => activityAdded.activity);
    expect(moved?.kind).toBe('SETTINGS');
    expect(usage).toMatchObject({ kind: 'USAGE', summary: '1 operation of task job: 3 credits', credits: '-3' });

    await using again = watch(transport, organization, first.cursor);
    expect((await again.take(3)).map(({ activityAdded }) => activityAdded.activity.kind)).toEqual([
      'SETTINGS',
      'SETTINGS',
      'USAGE',
    ]);
    const page = await activityPage(organization, { first: 4 });
    expect(page.edges.map(({ cursor }) => cursor)).toContain(first.cursor);
  });

  it('begins with what comes next where no cursor is given', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    await using live = watch(transport, organization);
    const next = live.next();
    // The stream is there once something that it tells was written after it began.
    let told: Added | null = null;
    next.then((event) => {
      told = event;
    });
    for (let n = 0; told === null && n < 200; n++) {
      await grant(gateway, organization.id, 'promotional', `${n + 2}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect((await next).activityAdded.activity.summary).toMatch(/^Granted \d+ credits: test$/);
  });
});

describe('the numbers of a feed', () => {
  it('have no gaps, whoever writes at once', async () => {
    const organization = await anOrganization(gateway, CREDITS);
    const { client, id } = organization;
    const work = Array.from({ length: 20 }, (_, n) => [
      client.run(CreateProjectDocument, { input: { key: `p${n}`, name: 'P' } }),
      authorize(client, { amount: '1', executionId: `e${n}` }).then((holdId) => capture(client, { holdId })),
      grant(gateway, id, 'promotional', '1'),
      activityPage(organization),
    ]);
    await Promise.all(work.flat());
    await activityPage(organization);
    const { count, highest, charged, told } = await sumsOf(gateway, id);
    expect(count).toBe(highest);
    expect(told).toBe(charged);
    const [feed] = await query<{ last_number: string }>(
      gateway.database,
      'SELECT last_number FROM activity_feed f JOIN organization o ON o.id = f.organization_id WHERE o.slug = $1',
      [organization.slug],
    );
    expect(feed?.last_number).toBe(highest);
  });
});
