/**
 * Creates an API key. Its secret is answered this once; only a hash is kept. Nobody can make a key that may more than they
 * themselves: keys are made by those who may everything in the organization.
 *
 * Refusals: InvalidInput, NotFound (organization, project). Throws Forbidden.
 */
import { randomBytes } from 'node:crypto';
import { hashSecret, secretFrom, shownPrefix } from '../domain/identity/api-key-secret.ts';
import type { Scope, SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput, type NotFound, notFound } from '../domain/plain-refusals.ts';
import { isRefusal } from '../domain/refusals.ts';
import type { Instant } from '../domain/time/instant.ts';
import { databaseNow } from '../persistence/clock.ts';
import { insertApiKey } from '../persistence/members.ts';
import { projectsExist } from '../persistence/organizations.ts';
import { audit } from './audit.ts';
import { tenantFor } from './authorize.ts';
import { checkText, firstProblem } from './input-rules.ts';
import type { Services } from './services.ts';

export interface CreateApiKeyInput {
  readonly organizationId?: string | null | undefined;
  readonly name: string;
  readonly master?: boolean | null | undefined;
  readonly scopes?: readonly Scope[] | null | undefined;
  readonly projectId?: string | null | undefined;
  readonly expiresAt?: Instant | null | undefined;
}

export interface CreatedApiKey {
  readonly keyId: string;
  readonly secret: string;
}

const SECRET_BYTES = 32;
const MAX_NAME_CHARACTERS = 200;
const MAX_SCOPES = 100;

const isGiven = (at: Instant | null | undefined): at is Instant => at !== null && at !== undefined;

export async function createApiKey(
  services: Services,
  caller: SignedInCaller,
  input: CreateApiKeyInput,
): Promise<CreatedApiKey | InvalidInput | NotFound> {
  const problem = checkKey(input);
  if (problem) return problem;
  const tenant = await tenantFor(services, caller, 'organization:manage', input.organizationId);
  if (isRefusal(tenant)) return tenant;
  const { organizationId } = tenant;
  const bound = caller.kind === 'API_KEY' ? caller.projectId : null;
  const projectId = input.projectId ?? bound;
  if (bound !== null && projectId !== bound) return notFound('project');
  if (projectId !== null) {
    const [exists] = await projectsExist(services.sql, [{ organizationId, id: projectId }]);
    if (!exists) return notFound('project');
  }
  if (isGiven(input.expiresAt) && input.expiresAt <= (await databaseNow(services.sql))) {
    return invalidInput(['expiresAt'], 'must lie in the future');
  }
  const secret = secretFrom(randomBytes(SECRET_BYTES));
  const { name, master, scopes, expiresAt } = input;
  const key = {
    id: services.newId(),
    organizationId,
    name,
    projectId,
    master: master === true,
    scopes: [...new Set(scopes)],
  };
  await services.sql.begin(async (tx) => {
    const secretHash = hashSecret(secret);
    await insertApiKey(tx, { ...key, prefix: shownPrefix(secret), secretHash, expiresAt: expiresAt ?? null });
    await audit(services, tx, caller, {
      organizationId,
      action: 'createApiKey',
      after: { keyId: key.id, name, master: key.master, scopes: [...key.scopes], projectId },
    });
  });
  return { keyId: key.id, secret };
}

function checkKey({ name, master, scopes }: CreateApiKeyInput): InvalidInput | null {
  const hasScopes = (scopes ?? []).length > 0;
  return firstProblem(
    checkText(['name'], name, MAX_NAME_CHARACTERS),
    master === true && hasScopes ? invalidInput(['scopes'], 'a master key has every scope and takes none') : null,
    master !== true && !hasScopes
      ? invalidInput(['scopes'], 'a key that is no master key needs at least one scope')
      : null,
    (scopes ?? []).length > MAX_SCOPES ? invalidInput(['scopes'], `must have at most ${MAX_SCOPES} items`) : null,
  );
}
