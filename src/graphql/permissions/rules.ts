/**
 * The permission of every root field. Deny is the default: a field without a line here answers FORBIDDEN to everybody, and
 * a test fails on it. The rules ask whether the caller may do such a thing anywhere; operations and loaders then check the
 * organization meant, and the types guard what is reached below.
 */
import { allow, deny, rule } from 'graphql-shield';
import { mayAnywhere, type Permission } from '../../domain/identity/caller.ts';
import type { GraphQLContext } from '../context.ts';
import { forbidden, unauthenticated } from '../errors.ts';

const isSignedIn = rule('isSignedIn')(
  (_parent, _args, { caller }: GraphQLContext) => caller.kind !== 'ANONYMOUS' || unauthenticated(),
);

/** Signed in as a person or operator, not by an API key. */
const isPerson = rule('isPerson')((_parent, _args, { caller }: GraphQLContext) => {
  if (caller.kind === 'ANONYMOUS') return unauthenticated();
  return caller.kind !== 'API_KEY' || forbidden();
});

/** Signed in as a person who is no operator: operators are members of nothing. */
const isUser = rule('isUser')((_parent, _args, { caller }: GraphQLContext) => {
  if (caller.kind === 'ANONYMOUS') return unauthenticated();
  return caller.kind === 'USER' || forbidden();
});

const needs = (permission: Permission) =>
  rule(`needs ${permission}`)((_parent, _args, { caller }: GraphQLContext) => {
    if (caller.kind === 'ANONYMOUS') return unauthenticated();
    return mayAnywhere(caller, permission) || forbidden();
  });

const needsAny = (...permissions: readonly Permission[]) =>
  rule(`needs one of ${permissions.join(', ')}`)((_parent, _args, { caller }: GraphQLContext) => {
    if (caller.kind === 'ANONYMOUS') return unauthenticated();
    return permissions.some((permission) => mayAnywhere(caller, permission)) || forbidden();
  });

const chargesUsage = needs('usage:write');
const readsBilling = needs('billing:read');
const writesBilling = needs('billing:write');
const managesOrganization = needs('organization:manage');
const operates = needs('operate');

export const ruleTree = {
  Query: {
    '*': deny,
    node: isSignedIn,
    nodes: isSignedIn,
    viewer: isSignedIn,
    organization: isSignedIn,
    organizations: isSignedIn,
    plans: allow,
    packages: allow,
    rateCard: allow,
    estimate: needsAny('usage:write', 'billing:read'),
    planChangePreview: readsBilling,
  },
  Mutation: {
    '*': deny,
    debit: chargesUsage,
    recordUsage: chargesUsage,
    authorize: chargesUsage,
    capture: chargesUsage,
    release: chargesUsage,
    extendHold: chargesUsage,
    refund: writesBilling,
    purchasePackage: writesBilling,
    topUp: writesBilling,
    configureAutoTopUp: writesBilling,
    setAllocation: writesBilling,
    selectPlan: writesBilling,
    cancelSubscription: writesBilling,
    resumeSubscription: writesBilling,
    redeemPromoCode: writesBilling,
    createPortalSession: writesBilling,
    createOrganization: isPerson,
    updateOrganization: managesOrganization,
    createProject: managesOrganization,
    inviteMember: managesOrganization,
    acceptInvitation: isUser,
    changeMemberRole: managesOrganization,
    removeMember: managesOrganization,
    createApiKey: managesOrganization,
    revokeApiKey: managesOrganization,
    grantCredits: operates,
    adjustBalance: operates,
    revokeGrant: operates,
    refundPurchase: operates,
    applyCatalog: operates,
    advanceTestClock: operates,
  },
  Subscription: {
    '*': deny,
    balanceChanged: readsBilling,
    ledgerEntryPosted: readsBilling,
  },
} as const;
