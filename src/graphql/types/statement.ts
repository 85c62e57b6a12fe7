/** Statements: what a month of an organization adds up to. */
import {
  entryRange,
  type StatedMovement,
  type StatedUsage,
  type Statement,
} from '../../domain/statements/statement.ts';
import type { ReadStatement } from '../../operations/read-statements.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { mayReadBilling } from '../permissions/readable.ts';
import { StatementStatusEnum } from './enums.ts';
import { NodeRef } from './node.ts';
import { UsageRowRef, type UsageRowShape } from './usage-report.ts';

/** With its organization, by which it is guarded, and what its id is made of. */
export interface StatementShape extends ReadStatement, Pick<Statement, 'organizationId' | 'walletId' | 'month'> {}

/** The key in its id. */
export const statementKey = ({ walletId, month }: Pick<Statement, 'walletId' | 'month'>): string =>
  `${walletId}.${month}`;

const StatementLineRef = builder.objectRef<StatedMovement>('StatementLine').implement({
  description: 'What came or went in a month for one reason.',
  fields: (t) => ({
    reasonCode: t.exposeString('reasonCode', {
      description:
        'A reason code of the ledger. "*" for what reasons beyond the first 199 of a direction add up to, the small ones.',
    }),
    credits: t.expose('credits', { type: 'Credits', description: 'Their sum, always positive.' }),
    entries: t.expose('entries', { type: 'Long', description: 'How many ledger entries.' }),
  }),
});

/** Usage beyond the first rows is told by meter alone: such a row has no other key. */
function usageRow(row: StatedUsage): UsageRowShape {
  const { meter, model, userId, projectId, isRest, ...amounts } = row;
  const others = [
    { dimension: 'MODEL', value: model },
    { dimension: 'USER', value: userId === null ? null : encodeId('User', userId) },
    { dimension: 'PROJECT', value: projectId === null ? null : encodeId('Project', projectId) },
  ];
  return { ...amounts, key: [{ dimension: 'METER', value: meter }, ...(isRest ? [] : others)] };
}

export const StatementRef = builder.objectRef<StatementShape>('Statement').implement({
  description:
    'A calendar month of an organization, in its time zone: opening + credited − debited = closing. It counts what was posted in the month. Once it is closed it never changes; a correction stands in the month in which it is made. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadBilling,
  fields: (t) => ({
    id: t.id({
      description: 'Opaque id.',
      resolve: (statement) => encodeId('Statement', statementKey(statement)),
    }),
    month: t.expose('month', { type: 'YearMonth', description: 'The month.' }),
    status: t.field({
      type: StatementStatusEnum,
      description: 'Whether it is final.',
      resolve: ({ hash }) => (hash === null ? 'OPEN' : 'CLOSED'),
    }),
    startsAt: t.field({
      type: 'DateTime',
      description: 'The first instant of the month, in the time zone of the organization.',
      resolve: ({ statement }) => statement.start,
    }),
    endsAt: t.field({
      type: 'DateTime',
      description: 'The first instant after the month.',
      resolve: ({ statement }) => statement.end,
    }),
    opening: t.field({
      type: 'Credits',
      description: 'The balance as the month began: the closing of the month before. Negative for debt.',
      resolve: ({ statement }) => statement.opening,
    }),
    closing: t.field({
      type: 'Credits',
      description: 'The balance as the month ended, or now while it runs. Negative for debt.',
      resolve: ({ statement }) => statement.closing,
    }),
    credited: t.field({
      type: [StatementLineRef],
      description: 'What came, by reason, most first: purchases, grants, refunds.',
      resolve: ({ statement }) => [...statement.credited],
    }),
    debited: t.field({
      type: [StatementLineRef],
      description: 'What went, by reason, most first: usage, expiries, revocations.',
      resolve: ({ statement }) => [...statement.debited],
    }),
    usage: t.field({
      type: [UsageRowRef],
      description:
        'What was charged in the month by METER, MODEL, USER and PROJECT, most credits first; free work too. Beyond 1,000 rows those with the fewest credits are summed up by METER, which is then their only key. Refunds do not change it.',
      resolve: ({ statement }) => statement.usage.map(usageRow),
    }),
    closedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it was closed, in the organization’s time; null while it is provisional.',
      resolve: ({ statement }) => statement.closedAt,
    }),
    fromSequence: t.field({
      type: 'Long',
      nullable: true,
      description: 'The number of its first ledger entry; null where it has none.',
      resolve: ({ statement }) => entryRange(statement)?.from ?? null,
    }),
    toSequence: t.field({
      type: 'Long',
      nullable: true,
      description: 'The number of its last ledger entry; null where it has none.',
      resolve: ({ statement }) => entryRange(statement)?.to ?? null,
    }),
    hash: t.exposeString('hash', {
      nullable: true,
      description:
        'SHA-256 of what its JSON export has as `content`, in hexadecimal; null while it is provisional. Each names the hash of the one before.',
    }),
  }),
});
