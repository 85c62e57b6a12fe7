/** Whom and what a charge is attributed to. Projects and users of other organizations do not exist here. */
import DataLoader from 'dataloader';
import type { Attribution } from '../domain/attribution.ts';
import type { SignedInCaller, Tenant } from '../domain/identity/caller.ts';
import { type NotFound, notFound } from '../domain/plain-refusals.ts';
import { membersExist, type Named, projectsExist } from '../persistence/organizations.ts';
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

/** Looks up the projects and members that a call names: each once, all of a turn in one statement. */
export class AttributionResolver {
  readonly #caller: SignedInCaller;
  readonly #projects: DataLoader<Named, boolean, string>;
  readonly #members: DataLoader<Named, boolean, string>;

  constructor({ sql }: Pick<Services, 'sql'>, caller: SignedInCaller) {
    this.#caller = caller;
    const cacheKeyFn = ({ organizationId, id }: Named) => `${organizationId} ${id}`;
    this.#projects = new DataLoader((named) => projectsExist(sql, named), { cacheKeyFn });
    this.#members = new DataLoader((named) => membersExist(sql, named), { cacheKeyFn });
  }

  /** A key bound to a project charges that project, named or not, and knows no other. */
  async resolve({ organizationId }: Tenant, input: AttributionInput): Promise<Attribution | NotFound> {
    const { userId = null, projectId = null, taskId = null, executionId = null } = input;
    const bound = this.#caller.kind === 'API_KEY' ? this.#caller.projectId : null;
    if (bound !== null && projectId !== null && projectId !== bound) return notFound('project');
    const [hasProject, hasMember] = await Promise.all([
      projectId === null || projectId === bound || this.#projects.load({ organizationId, id: projectId }),
      userId === null || this.#members.load({ organizationId, id: userId }),
    ]);
    if (!hasProject) return notFound('project');
    if (!hasMember) return notFound('user');
    return { userId, projectId: projectId ?? bound, taskId, executionId };
  }
}
