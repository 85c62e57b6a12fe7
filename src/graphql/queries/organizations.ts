import { queryFromInfo } from '@pothos/plugin-prisma';
import { tenantsOf } from '../../domain/identity/caller.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { datedPages } from '../dated-pages.ts';
import { badUserInput } from '../errors.ts';
import { decodeId } from '../ids.ts';
import type { NodeQuery } from '../loading/connections.ts';
import { connectionOf, connectionType, readPage } from '../pages.ts';
import { OrganizationRef } from '../types/organization.ts';

const pages = datedPages({ kind: 'organization', field: 'createdAt', order: 'asc' });
const OrganizationConnection = connectionType('Organization', OrganizationRef, 'oldest first');

/** The tenant check: others' organizations do not exist. */
export function ownOrganizations({ caller }: GraphQLContext): Prisma.OrganizationWhereInput {
  if (caller.kind === 'OPERATOR') return {};
  return { id: { in: tenantsOf(caller).map((tenant) => tenant.organizationId) } };
}

builder.queryField('organization', (t) =>
  t.field({
    type: OrganizationRef,
    nullable: true,
    description: 'One organization, by exactly one of id and slug. Null where it does not exist or is not yours.',
    args: {
      id: t.arg.id({ description: 'Its id.' }),
      slug: t.arg.string({ description: 'Its slug.' }),
    },
    resolve: (_root, { id, slug }, context, info) => {
      const hasId = id !== null && id !== undefined;
      const hasSlug = slug !== null && slug !== undefined;
      if (hasId === hasSlug) throw badUserInput('Give exactly one of id and slug.');
      const meant = hasId ? { id: decodeId('Organization', id) } : { slug: (slug ?? '').replaceAll('\0', ' ') };
      const query = queryFromInfo({ context, info }) as NodeQuery;
      return context.services.prisma.organization.findFirst({
        ...query,
        where: { AND: [meant, ownOrganizations(context)] },
      });
    },
  }),
);

builder.queryField('organizations', (t) =>
  t.field({
    type: OrganizationConnection,
    description: 'Your organizations, oldest first; an operator sees all.',
    args: {
      first: t.arg.int({ description: 'Rows per page, at most 100; 20 without it.' }),
      after: t.arg.string({ description: 'A cursor of this list: rows after it.' }),
    },
    resolve: async (_root, args, context, info) => {
      const page = readPage(args);
      const query = queryFromInfo({ context, info, path: ['edges', 'node'] }) as NodeQuery;
      const rows = await context.services.prisma.organization.findMany({
        ...query,
        where: { AND: [ownOrganizations(context), pages.after(page)] },
        orderBy: pages.orderBy,
        take: page.limit + 1,
      });
      return connectionOf(rows, page, pages.cursorOf);
    },
  }),
);
