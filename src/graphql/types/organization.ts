/** Organizations: the tenants. What a caller may not read of one is null. */
import type { ObjectRef } from '@pothos/core';
import { may } from '../../domain/identity/caller.ts';
import { dateOf, type Instant, instant } from '../../domain/time/instant.ts';
import { nextZoneChange, type Zone, type ZoneChange, zoneAt } from '../../domain/time/zone.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import type { Prisma } from '../../persistence/prisma.ts';
import { zoneOf as storedZone } from '../../persistence/time-zones.ts';
import { type BuilderTypes, builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { datedPages } from '../dated-pages.ts';
import { encodeId } from '../ids.ts';
import { loadAllocations } from '../loading/allocations.ts';
import { loadAutoTopUp } from '../loading/auto-top-ups.ts';
import { nestedConnection } from '../loading/connections.ts';
import { loadPlanLimits } from '../loading/plan-limits.ts';
import { loadSubscription } from '../loading/subscriptions.ts';
import { loadSpendSummary, loadUsageReport } from '../loading/usage.ts';
import { loadWallet } from '../loading/wallets.ts';
import { type Connection, type Page, readPage } from '../pages.ts';
import { readSpendOf, readUsageQuery } from '../usage-arguments.ts';
import { AllocationRef } from './allocation.ts';
import { ApiKeyConnection } from './api-key.ts';
import { AuditConnection } from './audit-record.ts';
import { AutoTopUpRef } from './auto-top-up.ts';
import { UsageDimensionEnum } from './enums.ts';
import { MembershipConnection } from './membership.ts';
import { NodeRef } from './node.ts';
import { PlanLimitStatusRef } from './plan-limit-status.ts';
import { PlanSubscriptionRef } from './plan-subscription.ts';
import { ProjectConnection } from './project.ts';
import { PurchaseConnection } from './purchase.ts';
import { SpendSummaryRef } from './spend-summary.ts';
import { UsageFilterRef, UsageReportRef } from './usage-report.ts';
import { WalletRef } from './wallet.ts';

const purchasePages = datedPages({ kind: 'purchase', field: 'createdAt', order: 'desc' });
const auditPages = datedPages({ kind: 'audit', field: 'occurredAt', order: 'desc' });
const memberPages = datedPages({ kind: 'member', field: 'createdAt', order: 'asc' });
const projectPages = datedPages({ kind: 'project', field: 'createdAt', order: 'asc' });
const keyPages = datedPages({ kind: 'key', field: 'createdAt', order: 'asc' });

type DatedRow = { readonly id: string };

interface OrganizationList<Row extends DatedRow> {
  readonly type: ObjectRef<BuilderTypes, Connection<Row>>;
  readonly description: string;
  /** True where what is due on the wallets is posted before reading. */
  readonly settles?: boolean;
  /** Which rows are in the list; all without it. */
  readonly where?: object;
  readonly pages: {
    readonly orderBy: object[];
    readonly cursorOf: (row: Row) => string;
    readonly after: (page: Page) => object;
  };
  /** Reads the list of each organization. */
  readonly read: (
    prisma: Prisma,
    where: { readonly id: { readonly in: string[] } },
    list: object,
  ) => Promise<readonly { readonly id: string; readonly rows: readonly Row[] }[]>;
}

interface Clocked {
  readonly testClockOffsetMs: bigint | null;
}

interface Zoned {
  readonly timeZone: string;
  readonly timeZoneChanges: unknown;
}

const zoneOf = ({ timeZone, timeZoneChanges }: Zoned): Zone => storedZone(timeZone, timeZoneChanges);

/** The organization's own time. */
const nowOf = async ({ testClockOffsetMs }: Clocked, loaders: GraphQLContext['loaders']): Promise<Instant> =>
  instant((await loaders.databaseNow()) + Number(testClockOffsetMs ?? 0n));

/** The change that does not apply yet. Most organizations never change their zone: then nobody is asked for the time. */
async function upcomingZone(
  organization: Zoned & Clocked,
  loaders: GraphQLContext['loaders'],
): Promise<ZoneChange | null> {
  const zone = zoneOf(organization);
  return typeof zone === 'string' ? null : nextZoneChange(zone, await nowOf(organization, loaders));
}

export const OrganizationRef = builder.prismaObject('Organization', {
  description: 'A tenant: members, keys and one wallet. Fields that the caller may not read are null.',
  interfaces: [NodeRef],
  fields: (t) => {
    /** A list of the organization, for those who may read it. */
    const list = <Row extends DatedRow>({
      type,
      description,
      pages,
      settles = false,
      where = {},
      read,
    }: OrganizationList<Row>) =>
      t.field({
        type,
        nullable: true,
        description,
        args: {
          first: t.arg.int({ description: 'Rows per page, at most 100; 20 without it.' }),
          after: t.arg.string({ description: 'A cursor of this list: rows after it.' }),
        },
        resolve: ({ id }, args, context, info) => {
          if (!may(context.caller, 'billing:read', id)) return null;
          const page = readPage(args);
          const { prisma } = context.services;
          return nestedConnection<Row>(id, context, info, {
            page,
            cursorOf: pages.cursorOf,
            read: async (ids, query, take) => {
              if (settles) await settleWallets(context.services, ids);
              return read(
                prisma,
                { id: { in: ids } },
                { ...query, where: { AND: [where, pages.after(page)] }, orderBy: pages.orderBy, take },
              );
            },
          });
        },
      });
    return {
      id: t.id({ description: 'Opaque id.', resolve: (organization) => encodeId('Organization', organization.id) }),
      slug: t.exposeString('slug', { description: 'Unique short name: a–z, 0–9 and inner hyphens.' }),
      name: t.exposeString('name', { description: 'Display name.' }),
      timeZone: t.string({
        description: 'IANA zone in which its days and months are cut now.',
        resolve: async (organization, _args, { loaders }) => {
          const zone = zoneOf(organization);
          return typeof zone === 'string' ? zone : zoneAt(zone, await nowOf(organization, loaders));
        },
      }),
      nextTimeZone: t.string({
        nullable: true,
        description: 'The zone that it has changed to and that does not apply yet; null where there is none.',
        resolve: async (organization, _args, { loaders }) =>
          (await upcomingZone(organization, loaders))?.timeZone ?? null,
      }),
      timeZoneChangesAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'From when on `nextTimeZone` applies; null where there is none.',
        resolve: async (organization, _args, { loaders }) => {
          const change = await upcomingZone(organization, loaders);
          return change && dateOf(change.from);
        },
      }),
      createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
      now: t.field({
        type: 'DateTime',
        description: 'Its own time: the database’s clock, ahead by its test clock if it has one.',
        resolve: async (organization, _args, { loaders }) => dateOf(await nowOf(organization, loaders)),
      }),
      testClock: t.boolean({
        description: 'True where an operator can move its time forward.',
        resolve: ({ testClockOffsetMs }) => testClockOffsetMs !== null,
      }),
      wallet: t.field({
        type: WalletRef,
        nullable: true,
        description: 'Its credits; null to those without billing:read.',
        resolve: ({ id }, _args, context, info) => loadWallet(context, info, id),
      }),
      subscription: t.field({
        type: PlanSubscriptionRef,
        nullable: true,
        resolve: ({ id }, _args, context, info) => loadSubscription(context, info, id),
        description: 'Its subscription to a plan; null where it never had one and to those without billing:read.',
      }),
      usage: t.field({
        type: UsageReportRef,
        nullable: true,
        description:
          'What was charged for usage in a period, up to 5 years, as of the last charge; null to those without billing:read. By task, execution or `byDimensions`, without a task or execution in the filter, the period is at most 31 days: every charge in it is read.',
        args: {
          from: t.arg({
            type: 'DateTime',
            required: true,
            description: 'Usage at or after this instant, a whole quarter of an hour.',
          }),
          to: t.arg({
            type: 'DateTime',
            required: true,
            description: 'Usage before this instant, a whole quarter of an hour.',
          }),
          groupBy: t.arg({
            type: [UsageDimensionEnum],
            required: true,
            description: 'What rows have in common, none twice; one row where it is empty.',
          }),
          byDimensions: t.arg.stringList({
            description: 'Names of further dimensions of usage lines to group by: at most 5, of 1–64 characters each.',
          }),
          filter: t.arg({ type: UsageFilterRef, description: 'Which usage; all without it.' }),
          first: t.arg.int({ description: 'Rows at most, from 1 to 1,000; 100 without it.' }),
        },
        resolve: ({ id }, args, context, info) => loadUsageReport(context, info, id, () => readUsageQuery(args)),
      }),
      spendSummary: t.field({
        type: SpendSummaryRef,
        nullable: true,
        description:
          'What a task, an execution, or an execution of a task has cost so far; nothing where it is unknown. Null to those without billing:read, except keys with usage:write, for which only their own calls count.',
        args: {
          taskId: t.arg.string({
            description: 'Of this task; 1–255 characters. Required without executionId.',
          }),
          executionId: t.arg.string({
            description: 'Of this execution; 1–255 characters. Required without taskId.',
          }),
        },
        resolve: ({ id }, args, context, info) => loadSpendSummary(context, info, id, () => readSpendOf(args)),
      }),
      purchases: list({
        type: PurchaseConnection,
        description: 'What it bought, newest first; null to those without billing:read.',
        pages: purchasePages,
        // Their entries show lots, which must not look older than the wallet does.
        settles: true,
        read: async (prisma, where, purchases) =>
          (await prisma.organization.findMany({ where, select: { id: true, purchases } })).map(
            ({ id, purchases: rows }) => ({ id, rows }),
          ),
      }),
      auditTrail: list({
        type: AuditConnection,
        description: 'Who changed what, newest first; null to those without billing:read.',
        pages: auditPages,
        read: async (prisma, where, auditTrail) =>
          (await prisma.organization.findMany({ where, select: { id: true, auditTrail } })).map(
            ({ id, auditTrail: rows }) => ({ id, rows }),
          ),
      }),
      members: list({
        type: MembershipConnection,
        description: 'Its members and those who are invited, oldest first; null to those without billing:read.',
        where: { removedAt: null },
        pages: memberPages,
        read: async (prisma, where, memberships) =>
          (await prisma.organization.findMany({ where, select: { id: true, memberships } })).map(
            ({ id, memberships: rows }) => ({ id, rows }),
          ),
      }),
      projects: list({
        type: ProjectConnection,
        description: 'Its projects, oldest first; null to those without billing:read.',
        pages: projectPages,
        read: async (prisma, where, projects) =>
          (await prisma.organization.findMany({ where, select: { id: true, projects } })).map(
            ({ id, projects: rows }) => ({ id, rows }),
          ),
      }),
      limits: t.field({
        type: [PlanLimitStatusRef],
        nullable: true,
        description:
          'What its plan limits and how much of it is used. To a person also what limits them: how many organizations they own and have joined, in any. Without a subscription, or with a canceled one, the limits of the cheapest plan apply. Null to those without billing:read.',
        resolve: ({ id }, _args, context, info) => loadPlanLimits(context, info, id),
      }),
      autoTopUp: t.field({
        type: AutoTopUpRef,
        nullable: true,
        description:
          'Its top-ups by themselves; null where it never configured them and to those without billing:read.',
        resolve: ({ id }, _args, context, info) => loadAutoTopUp(context, info, id),
      }),
      allocations: t.field({
        type: [AllocationRef],
        nullable: true,
        description:
          'What is earmarked for its projects and members, oldest first. Members without billing:read see what is for them, keys bound to a project what is for that; null to other callers.',
        resolve: ({ id }, _args, context, info) => loadAllocations(context, info, id),
      }),
      apiKeys: list({
        type: ApiKeyConnection,
        description: 'Its API keys, revoked ones included, oldest first; null to those without billing:read.',
        pages: keyPages,
        read: async (prisma, where, apiKeys) =>
          (await prisma.organization.findMany({ where, select: { id: true, apiKeys } })).map(
            ({ id, apiKeys: rows }) => ({ id, rows }),
          ),
      }),
    };
  },
});
