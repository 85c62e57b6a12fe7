/** The schema builder that every type file uses. Fields cannot be null unless they say so. */
import './guard-plugin.ts';
import SchemaBuilder from '@pothos/core';
import PrismaPlugin from '@pothos/plugin-prisma';
import type { JsonValue } from '../domain/canonical.ts';
import type { Decimal } from '../domain/credits/decimal.ts';
import type { Micros } from '../domain/credits/micros.ts';
import type { YearMonth } from '../domain/statements/year-month.ts';
import type { Instant } from '../domain/time/instant.ts';
import type PrismaTypes from '../generated/pothos-prisma-types.ts';
import { getDatamodel } from '../generated/pothos-prisma-types.ts';
import type { GraphQLContext } from './context.ts';

interface SchemaTypes {
  PrismaTypes: PrismaTypes;
  Context: GraphQLContext;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    Credits: { Input: Micros; Output: Micros };
    Decimal: { Input: Decimal; Output: Decimal };
    DateTime: { Input: Instant; Output: Date | Instant };
    Long: { Input: bigint; Output: bigint | number };
    YearMonth: { Input: YearMonth; Output: YearMonth };
    JSON: { Input: JsonValue; Output: unknown };
  };
}

export const builder = new SchemaBuilder<SchemaTypes>({
  plugins: ['guard', PrismaPlugin],
  defaultFieldNullability: false,
  prisma: {
    client: (context) => context.services.prisma,
    dmmf: getDatamodel(),
    // Everything that a client may ask for is described here, not in the database's schema.
    exposeDescriptions: false,
  },
});

/** The builder's types with Pothos's defaults filled in, as refs carry them. */
export type BuilderTypes = typeof builder extends PothosSchemaTypes.SchemaBuilder<infer Types> ? Types : never;
