/** Result unions: a payload or one of the refusals that its operation documents. */
import type { ObjectRef } from '@pothos/core';
import { isRefusal, type Refusal } from '../../domain/refusals.ts';
import { type BuilderTypes, builder } from '../builder.ts';
import { type ErrorName, errorRefs, errorTypeName } from './billing-error.ts';

export function resultUnion<Payload extends object>(
  name: string,
  payload: ObjectRef<BuilderTypes, Payload>,
  errors: readonly ErrorName[],
) {
  return builder.unionType(name, {
    description: `The payload, or why not: ${errors.join(', ')}.`,
    types: [payload, ...errorRefs(errors)],
    resolveType: (value: Payload | Refusal) => (isRefusal(value) ? errorTypeName(value) : payload.name),
  });
}
