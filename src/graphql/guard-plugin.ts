/**
 * The type-level guard: a type may say who may read its objects, and every field that yields them, by whatever path they
 * are reached, answers null where the caller may not (an error where the field cannot be null). It is also the last
 * tenant check: a row of another organization is nobody's to read.
 */
import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import type { Caller } from '../domain/identity/caller.ts';
import type { GraphQLContext } from './context.ts';
import { forbidden } from './errors.ts';

/** Whether the caller may read this object. */
export type ReadableBy = (row: never, caller: Caller) => boolean;

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      guard: GuardPlugin<Types>;
    }
    export interface BaseTypeOptions<Types extends SchemaTypes = SchemaTypes> {
      readableBy?: ReadableBy;
    }
  }
}

export class GuardPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapResolve(
    resolver: GraphQLFieldResolver<unknown, Types['Context'], object>,
    fieldConfig: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    const readableBy = this.#guardOf(fieldConfig);
    if (!readableBy) return resolver;
    const { nullable } = fieldConfig.type;
    return async (parent, args, context, info) => {
      const result: unknown = await resolver(parent, args, context, info);
      if (result === null || result === undefined) return result;
      const { caller } = context as GraphQLContext;
      const rows: readonly unknown[] = Array.isArray(result) ? result : [result];
      if (rows.every((row) => readableBy(row as never, caller))) return result;
      if (nullable) return null;
      throw forbidden();
    };
  }

  #guardOf({ type }: PothosOutputFieldConfig<Types>): ReadableBy | undefined {
    const item = type.kind === 'List' ? type.type : type;
    if (item.kind !== 'Object') return undefined;
    const { pothosOptions } = this.builder.configStore.getTypeConfig(item.ref);
    return (pothosOptions as { readableBy?: ReadableBy }).readableBy;
  }
}

SchemaBuilder.registerPlugin('guard', GuardPlugin);
