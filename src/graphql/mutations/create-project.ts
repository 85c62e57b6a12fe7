import { signedIn } from '../../operations/authorize.ts';
import { createProject } from '../../operations/create-project.ts';
import { builder } from '../builder.ts';
import { decodeOptionalId } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { ProjectRef } from '../types/project.ts';
import { resultUnion } from '../types/result.ts';

const CreateProjectInputRef = builder.inputType('CreateProjectInput', {
  description: 'A project to create.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Where. An API key may leave it out.' }),
    key: t.string({ required: true, description: 'Unique in the organization: 1 to 63 of a–z, 0–9 and inner _ . -' }),
    name: t.string({ required: true, description: 'Display name, at most 200 characters.' }),
  }),
});

const ProjectPayloadRef = builder.objectRef<{ readonly projectId: string }>('ProjectPayload').implement({
  description: 'The project.',
  fields: (t) => ({
    project: t.field({
      type: ProjectRef,
      description: 'As it is now.',
      resolve: ({ projectId: id }, _args, context, info) =>
        loadWritten(context, info, (query) => context.services.prisma.project.findUnique({ ...query, where: { id } })),
    }),
  }),
});

const ProjectResult = resultUnion('ProjectResult', ProjectPayloadRef, ['PlanLimitReached', 'NotFound', 'InvalidInput']);

builder.mutationField('createProject', (t) =>
  t.field({
    type: ProjectResult,
    description: 'Creates a project. Owners, master keys and operators.',
    args: { input: t.arg({ type: CreateProjectInputRef, required: true, description: 'What to create.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      createProject(services, signedIn(caller), {
        ...input,
        organizationId: decodeOptionalId('Organization', input.organizationId),
      }),
  }),
);
