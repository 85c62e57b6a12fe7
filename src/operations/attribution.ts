/** Whom and what a charge is attributed to. Projects and users of other organizations do not exist here. */
import type { SignedInCaller, Tenant } from '../domain/identity/caller.ts';
import type { Attribution } from '../domain/posting/commands.ts';
import { type InvalidInput, type NotFound, notFound } from '../domain/refusals.ts';
import { memberExists, projectExists } from '../persistence/organizations.ts';
import { checkText, firstProblem } from './input-rules.ts';
import type { Services } from './services.ts';

export interface AttributionInput {
  readonly userId?: string | null | undefined;
  readonly projectId?: string | null | undefined;
  readonly taskId?: string | null | undefined;
  readonly executionId?: string | null | undefined;
}

const MAX_ID_CHARACTERS = 255;

export function checkAttribution({ taskId, executionId }: AttributionInput, path: readonly string[] = []) {
  return firstProblem(
    checkText([...path, 'taskId'], taskId, MAX_ID_CHARACTERS),
    checkText([...path, 'executionId'], executionId, MAX_ID_CHARACTERS),
  );
}

/** A key bound to a project charges that project, named or not, and knows no other. */
export async function resolveAttribution(
  { sql }: Pick<Services, 'sql'>,
  caller: SignedInCaller,
  { organizationId }: Tenant,
  { userId = null, projectId = null, taskId = null, executionId = null }: AttributionInput,
): Promise<Attribution | NotFound | InvalidInput> {
  const bound = caller.kind === 'API_KEY' ? caller.projectId : null;
  if (bound !== null && projectId !== null && projectId !== bound) return notFound('project');
  if (projectId !== null && projectId !== bound && !(await projectExists(sql, organizationId, projectId))) {
    return notFound('project');
  }
  if (userId !== null && !(await memberExists(sql, organizationId, userId))) return notFound('user');
  return { userId, projectId: projectId ?? bound, taskId, executionId };
}
