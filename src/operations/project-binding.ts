/** Keys that are bound to a project act for it and for no other. */
import type { SignedInCaller } from '../domain/identity/caller.ts';
import { type NotFound, notFound } from '../domain/plain-refusals.ts';
import { Forbidden } from './authorize.ts';

/** What is set for the project, or with null for somebody or something else. Throws Forbidden. */
export function checkBinding(caller: SignedInCaller, projectId: string | null): NotFound | null {
  if (caller.kind !== 'API_KEY' || caller.projectId === null) return null;
  if (projectId === null) throw new Forbidden();
  return projectId === caller.projectId ? null : notFound('project');
}
