/** API keys, without their secrets. */
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { connectionType } from '../pages.ts';
import { ScopeEnum } from './enums.ts';
import { NodeRef } from './node.ts';
import { ProjectRef } from './project.ts';

export const ApiKeyRef = builder.prismaObject('ApiKey', {
  description: 'A machine’s credential. The secret was shown once, when it was made.',
  interfaces: [NodeRef],
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (key) => encodeId('ApiKey', key.id) }),
    name: t.exposeString('name', { description: 'What people call it.' }),
    prefix: t.exposeString('prefix', { description: 'The first characters of the secret, to recognize it by.' }),
    master: t.exposeBoolean('master', { description: 'True for a key that may everything in its organization.' }),
    scopes: t.field({
      type: [ScopeEnum],
      description: 'What it may do; empty for a master key.',
      resolve: (key) => key.scopes,
    }),
    project: t.relation('project', {
      nullable: true,
      type: ProjectRef,
      description: 'The only project it acts for; null for any.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Until when it works; null for ever.',
    }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute; null for never.',
    }),
    revokedAt: t.expose('revokedAt', { type: 'DateTime', nullable: true, description: 'When it was revoked.' }),
  }),
});

export const ApiKeyConnection = connectionType('ApiKey', ApiKeyRef, 'oldest first');
