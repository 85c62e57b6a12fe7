/** Projects, to which usage is attributed. */
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { connectionType } from '../pages.ts';
import { NodeRef } from './node.ts';

export const ProjectRef = builder.prismaObject('Project', {
  description: 'A part of an organization that usage is attributed to. A team is one.',
  interfaces: [NodeRef],
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (project) => encodeId('Project', project.id) }),
    key: t.exposeString('key', { description: 'Unique in its organization.' }),
    name: t.exposeString('name', { description: 'Display name.' }),
  }),
});

export const ProjectConnection = connectionType('Project', ProjectRef, 'oldest first');
