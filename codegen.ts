/** Typed documents for clients in TypeScript, from the published schema. The end-to-end tests are the first such client. */
import type { CodegenConfig } from '@graphql-codegen/cli';

const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['test/documents/**/*.graphql'],
  generates: {
    'test/generated/documents.ts': {
      plugins: ['typescript-operations', 'typed-document-node'],
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        scalars: {
          ID: 'string',
          Credits: { input: 'string | number', output: 'string' },
          Decimal: { input: 'string | number', output: 'string' },
          DateTime: 'string',
          Long: 'number',
          JSON: 'unknown',
          YearMonth: 'string',
        },
      },
    },
  },
};

export default config;
