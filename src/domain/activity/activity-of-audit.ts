/**
 * What the record of an operation tells people: members, keys, projects and settings. Operations that the books or the feed
 * tell of in another way, and those that nobody but auditors asks for, tell nothing here.
 */
import type { JsonObject } from '../canonical.ts';
import type { NewActivity } from './activity.ts';
import { inLine } from './words.ts';

export interface AuditedChange {
  /** The mutation's name. */
  readonly action: string;
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
}

type Told = Pick<NewActivity, 'kind' | 'summary'>;
type Describe = (change: { readonly before: JsonObject; readonly after: JsonObject }) => Told | null;

export function activityOfAudit({ action, before, after }: AuditedChange): Told | null {
  const describe = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  return describe ? describe({ before: before ?? {}, after: after ?? {} }) : null;
}

/** A field as it stands within a line. */
const text = (object: JsonObject, field: string): string => {
  const value = object[field];
  return inLine(typeof value === 'string' ? value : JSON.stringify(value ?? null));
};

const member = (summary: string): Told => ({ kind: 'MEMBER', summary });
const key = (summary: string): Told => ({ kind: 'API_KEY', summary });
const settings = (summary: string): Told => ({ kind: 'SETTINGS', summary });

/** "owner", "admin" */
const role = (object: JsonObject): string => text(object, 'role').toLowerCase();
const withArticle = (noun: string): string => `${/^[aeio]/.test(noun) ? 'an' : 'a'} ${noun}`;

/** By the mutation's name. */
const ACTIONS: Readonly<Record<string, Describe>> = {
  inviteMember: ({ after }) => member(`Invited somebody as ${withArticle(role(after))}`),
  acceptInvitation: ({ after }) => member(`Joined as ${withArticle(role(after))}`),
  changeMemberRole: ({ before, after }) => member(`Changed a member’s role from ${role(before)} to ${role(after)}`),
  removeMember: ({ before }) =>
    member(
      before.status === 'INVITED'
        ? `Withdrew the invitation of ${withArticle(role(before))}`
        : `Removed a member who was ${withArticle(role(before))}`,
    ),
  createApiKey: ({ after }) => key(`Created the API key ${text(after, 'name')} with ${powersOf(after)}`),
  // Revoking it again tells nothing.
  revokeApiKey: ({ after }) => ('name' in after ? key(`Revoked the API key ${text(after, 'name')}`) : null),
  createOrganization: () => settings('Created the organization'),
  updateOrganization: ({ after }) => settings(describeUpdate(after)),
  createProject: ({ after }) => settings(`Created the project ${text(after, 'name')} (${text(after, 'key')})`),
  advanceTestClock: ({ after }) => settings(`Moved the test clock to ${text(after, 'to')}`),
  setAllocation: ({ after }) => settings(describeAllocation(after)),
  setSpendLimit: ({ after }) => settings(`Limited ${whoseSpending(after)} to ${text(after, 'credits')} credits`),
  removeSpendLimit: ({ before }) => settings(`Removed the limit on ${whoseSpending(before)}`),
  setAlert: ({ after }) => settings(`Set an alert at ${levelOf(after)}`),
  removeAlert: ({ before }) => settings(`Removed the alert at ${levelOf(before)}`),
  // Their URLs may hold tokens.
  createWebhookEndpoint: () => settings('Added a webhook endpoint'),
  updateWebhookEndpoint: () => settings('Changed a webhook endpoint'),
  deleteWebhookEndpoint: () => settings('Removed a webhook endpoint'),
  rotateWebhookSecret: () => settings('Gave a webhook endpoint a new secret'),
  configureAutoTopUp: ({ after }) =>
    settings(
      after.enabled === true
        ? `Switched on top-ups by themselves, below ${text(after, 'threshold')} credits`
        : 'Switched off top-ups by themselves',
    ),
};

function powersOf({ master, scopes }: JsonObject): string {
  if (master === true) return 'every scope of its organization';
  return (Array.isArray(scopes) ? scopes : []).map(String).join(', ').toLowerCase().replaceAll('_', ':');
}

function describeAllocation(after: JsonObject): string {
  const whom = 'projectId' in after ? 'a project' : 'a member';
  return after.credits === '0'
    ? `Took back what was earmarked for ${whom}`
    : `Earmarked ${text(after, 'credits')} credits for ${whom}${after.exclusive === true ? ', which is all that it can spend' : ''}`;
}

const WINDOWS: Readonly<Record<string, string>> = { HOUR: 'an hour', DAY: 'a day', MONTH: 'a month' };
const SPENDERS: Readonly<Record<string, string>> = {
  ORGANIZATION: 'the organization',
  PROJECT: 'a project',
  USER: 'a member',
  API_KEY: 'an API key',
};

/** "what a project spends a month" */
const whoseSpending = (limit: JsonObject): string =>
  `what ${SPENDERS[text(limit, 'scope')] ?? 'somebody'} spends ${WINDOWS[text(limit, 'window')] ?? ''}`;

/** "20 % of the allowance", "100 credits" */
const levelOf = (alert: JsonObject): string =>
  'percent' in alert ? `${text(alert, 'percent')} % of the allowance` : `${text(alert, 'threshold')} credits`;

function describeUpdate(after: JsonObject): string {
  const parts = [
    ...('name' in after ? [`renamed the organization to ${text(after, 'name')}`] : []),
    ...('timeZone' in after
      ? [`changed the time zone to ${text(after, 'timeZone')} from ${text(after, 'timeZoneChangesAt')} on`]
      : []),
  ].join(' and ');
  return `${parts.slice(0, 1).toUpperCase()}${parts.slice(1)}`;
}
