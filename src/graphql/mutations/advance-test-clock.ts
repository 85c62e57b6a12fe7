import type { Instant } from '../../domain/time/instant.ts';
import { advanceTestClock } from '../../operations/advance-test-clock.ts';
import { signedIn } from '../../operations/authorize.ts';
import { builder } from '../builder.ts';
import { decodeId } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { OrganizationRef } from '../types/organization.ts';
import { resultUnion } from '../types/result.ts';

const AdvanceTestClockInputRef = builder.inputType('AdvanceTestClockInput', {
  description: 'Where to move a test clock.',
  fields: (t) => ({
    organizationId: t.id({ required: true, description: 'An organization that was created with a test clock.' }),
    to: t.field({ type: 'DateTime', required: true, description: 'Its new time, not before the present one.' }),
  }),
});

const TestClockPayloadRef = builder
  .objectRef<{ readonly organizationId: string; readonly now: Instant }>('TestClockPayload')
  .implement({
    description: 'The clock after it was moved; everything due by then has been posted.',
    fields: (t) => ({
      now: t.expose('now', { type: 'DateTime', description: 'The organization’s time.' }),
      organization: t.field({
        type: OrganizationRef,
        description: 'The organization.',
        resolve: ({ organizationId: id }, _args, context, info) =>
          loadWritten(context, info, (query) =>
            context.services.prisma.organization.findUnique({ ...query, where: { id } }),
          ),
      }),
    }),
  });

const TestClockResult = resultUnion('TestClockResult', TestClockPayloadRef, ['NotFound', 'InvalidInput']);

builder.mutationField('advanceTestClock', (t) =>
  t.field({
    type: TestClockResult,
    description:
      'Moves an organization’s test clock forward and posts everything that has become due. Operators only; audited.',
    args: { input: t.arg({ type: AdvanceTestClockInputRef, required: true, description: 'Where to.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      advanceTestClock(services, signedIn(caller), {
        organizationId: decodeId('Organization', input.organizationId),
        to: input.to,
      }),
  }),
);
