/** The schema: every type file registers itself with the builder, the permissions go around the root fields. */
import './scalars.ts';
import './types/wallet.ts';
import './types/organization.ts';
import './queries/viewer.ts';
import './queries/organizations.ts';
import './queries/catalog.ts';
import './queries/node.ts';
import './queries/estimate.ts';
import './queries/plan-change-preview.ts';
import './mutations/debit.ts';
import './mutations/record-usage.ts';
import './mutations/holds.ts';
import './mutations/refund.ts';
import './mutations/grant-credits.ts';
import './mutations/redeem-promo-code.ts';
import './mutations/adjust-balance.ts';
import './mutations/purchase-package.ts';
import './mutations/top-up.ts';
import './mutations/refund-purchase.ts';
import './mutations/revoke-grant.ts';
import './mutations/select-plan.ts';
import './mutations/change-subscription.ts';
import './mutations/configure-auto-top-up.ts';
import './mutations/set-allocation.ts';
import './mutations/create-organization.ts';
import './mutations/create-portal-session.ts';
import './mutations/update-organization.ts';
import './mutations/members.ts';
import './mutations/create-project.ts';
import './mutations/api-keys.ts';
import './mutations/advance-test-clock.ts';
import './mutations/apply-catalog.ts';
import './subscriptions/balance-changed.ts';
import './subscriptions/ledger-entry-posted.ts';
import { type GraphQLSchema, lexicographicSortSchema, printSchema } from 'graphql';
import { builder } from './builder.ts';
import { applyPermissions } from './permissions/apply.ts';

builder.queryType({ description: 'What can be read.' });
builder.mutationType({ description: 'What can be done. Every result is a union: a payload or a typed refusal.' });
builder.subscriptionType({ description: 'What can be watched, over WebSocket (graphql-ws) and SSE.' });

/** The schema without permissions, as it is published. */
export function buildSchema(): GraphQLSchema {
  return builder.toSchema();
}

export function buildGuardedSchema(): GraphQLSchema {
  return applyPermissions(buildSchema());
}

/** The SDL of schema.graphql. */
export function printSdl(): string {
  return `${printSchema(lexicographicSortSchema(buildSchema()))}\n`;
}
