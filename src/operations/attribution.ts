/** Whom and what a charge is attributed to. Projects and users of other organizations do not exist here. */
import type { SignedInCaller, Tenant } from '../domain/identity/caller.ts';
import type { Attribution } from '../domain/posting/commands.ts';
import { type NotFound, notFound } from '../domain/refusals.ts';
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

/** Looks up each project and member once, however many events of a call name it. */
export class AttributionResolver {
  readonly #sql: Services['sql'];
  readonly #caller: SignedInCaller;
  readonly #known = new Map<string, Promise<boolean>>();

  constructor({ sql }: Pick<Services, 'sql'>, caller: SignedInCaller) {
    this.#sql = sql;
    this.#caller = caller;
  }

  /** A key bound to a project charges that project, named or not, and knows no other. */
  async resolve({ organizationId }: Tenant, input: AttributionInput): Promise<Attribution | NotFound> {
    const { userId = null, projectId = null, taskId = null, executionId = null } = input;
    const bound = this.#caller.kind === 'API_KEY' ? this.#caller.projectId : null;
    if (bound !== null && projectId !== null && projectId !== bound) return notFound('project');
    const isForeign = projectId !== null && projectId !== bound && !(await this.#hasProject(organizationId, projectId));
    if (isForeign) return notFound('project');
    if (userId !== null && !(await this.#hasMember(organizationId, userId))) return notFound('user');
    return { userId, projectId: projectId ?? bound, taskId, executionId };
  }

  #hasProject(organizationId: string, projectId: string): Promise<boolean> {
    return this.#once(`project ${organizationId} ${projectId}`, () =>
      projectExists(this.#sql, organizationId, projectId),
    );
  }

  #hasMember(organizationId: string, userId: string): Promise<boolean> {
    return this.#once(`user ${organizationId} ${userId}`, () => memberExists(this.#sql, organizationId, userId));
  }

  #once(name: string, look: () => Promise<boolean>): Promise<boolean> {
    const known = this.#known.get(name) ?? look();
    this.#known.set(name, known);
    return known;
  }
}
