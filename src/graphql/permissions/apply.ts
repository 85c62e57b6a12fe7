/**
 * Puts the rules around the root fields, and only there: wrapping every field of every type would cost more than the
 * answer. Subscriptions are guarded at `subscribe`, so that a stream that is not allowed never starts.
 */
import type { GraphQLFieldResolver, GraphQLSchema } from 'graphql';
import { applyMiddleware } from 'graphql-middleware';
import { allow, shield } from 'graphql-shield';
import { forbidden } from '../errors.ts';
import { ruleTree } from './rules.ts';

/** A resolver around another: what shield generates for a field. */
type Guard = (
  next: GraphQLFieldResolver<unknown, unknown>,
  ...call: Parameters<GraphQLFieldResolver<unknown, unknown>>
) => unknown;
type FieldGuards = Readonly<Record<string, Guard>>;

export function applyPermissions(schema: GraphQLSchema): GraphQLSchema {
  const rules = shield(ruleTree, {
    allowExternalErrors: true,
    fallbackError: forbidden(),
    fallbackRule: allow,
  }).generate(schema) as Readonly<Record<'Query' | 'Mutation' | 'Subscription', FieldGuards>>;
  guardSubscribe(schema, rules.Subscription);
  return applyMiddleware(schema, { Query: rules.Query, Mutation: rules.Mutation } as never);
}

function guardSubscribe(schema: GraphQLSchema, guards: FieldGuards): void {
  for (const field of Object.values(schema.getSubscriptionType()?.getFields() ?? {})) {
    const guard = guards[field.name];
    const subscribe = field.subscribe;
    if (!guard || !subscribe) throw new Error(`the subscription ${field.name} has no guard`);
    field.subscribe = (parent, args, context, info) => guard(subscribe, parent, args, context, info);
  }
}
