import { signedIn } from '../../operations/authorize.ts';
import { type CreatedApiKey, createApiKey } from '../../operations/create-api-key.ts';
import { revokeApiKey } from '../../operations/revoke-api-key.ts';
import { builder } from '../builder.ts';
import { decodeId, decodeOptionalId } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { ApiKeyRef } from '../types/api-key.ts';
import { ScopeEnum } from '../types/enums.ts';
import { resultUnion } from '../types/result.ts';

const CreateApiKeyInputRef = builder.inputType('CreateApiKeyInput', {
  description: 'A key to create.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Where. An API key may leave it out.' }),
    name: t.string({ required: true, description: 'What people call it, at most 200 characters.' }),
    master: t.boolean({ description: 'True for a key that may everything in its organization; it takes no scopes.' }),
    scopes: t.field({ type: [ScopeEnum], description: 'What it may do; at least one unless it is a master key.' }),
    projectId: t.id({ description: 'The only project it acts for; any without it.' }),
    expiresAt: t.field({
      type: 'DateTime',
      description: 'Until when it works, by the real clock; for ever without it.',
    }),
  }),
});

const CreateApiKeyPayloadRef = builder.objectRef<CreatedApiKey>('CreateApiKeyPayload').implement({
  description: 'The key and its secret.',
  fields: (t) => ({
    apiKey: t.field({
      type: ApiKeyRef,
      description: 'The key.',
      resolve: ({ keyId: id }, _args, context, info) =>
        loadWritten(context, info, (query) => context.services.prisma.apiKey.findUnique({ ...query, where: { id } })),
    }),
    secret: t.exposeString('secret', { description: 'Shown this once; keep it.' }),
  }),
});

const ApiKeyPayloadRef = builder.objectRef<{ readonly keyId: string }>('ApiKeyPayload').implement({
  description: 'The key.',
  fields: (t) => ({
    apiKey: t.field({
      type: ApiKeyRef,
      description: 'As it is now.',
      resolve: ({ keyId: id }, _args, context, info) =>
        loadWritten(context, info, (query) => context.services.prisma.apiKey.findUnique({ ...query, where: { id } })),
    }),
  }),
});

const RevokeApiKeyInputRef = builder.inputType('RevokeApiKeyInput', {
  description: 'A key to revoke.',
  fields: (t) => ({ apiKeyId: t.id({ required: true, description: 'Which.' }) }),
});

const CreateApiKeyResult = resultUnion('CreateApiKeyResult', CreateApiKeyPayloadRef, ['NotFound', 'InvalidInput']);
const ApiKeyResult = resultUnion('ApiKeyResult', ApiKeyPayloadRef, ['NotFound', 'InvalidInput']);

builder.mutationField('createApiKey', (t) =>
  t.field({
    type: CreateApiKeyResult,
    description: 'Creates an API key; its secret is shown once. Owners, master keys and operators; audited.',
    args: { input: t.arg({ type: CreateApiKeyInputRef, required: true, description: 'What to create.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      createApiKey(services, signedIn(caller), {
        ...input,
        organizationId: decodeOptionalId('Organization', input.organizationId),
        projectId: decodeOptionalId('Project', input.projectId),
      }),
  }),
);

builder.mutationField('revokeApiKey', (t) =>
  t.field({
    type: ApiKeyResult,
    description: 'Revokes an API key, at once and for good. Owners, master keys and operators; audited.',
    args: { input: t.arg({ type: RevokeApiKeyInputRef, required: true, description: 'Which.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      revokeApiKey(services, signedIn(caller), decodeId('ApiKey', input.apiKeyId)),
  }),
);
