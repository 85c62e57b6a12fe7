/**
 * The order of the test files: those that take longest first, so that no worker is left alone with one of them at the end.
 * Given rather than remembered from run to run, so that it is the same on a fresh clone.
 */
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Beginnings of paths, the longest-running first. Within one the larger file comes first, which mostly has more tests. */
const RANKS = [
  'test/posting/model.test.ts',
  'test/e2e/reads.test.ts',
  'test/process/',
  'test/posting/parallel',
  'test/e2e/live.test.ts',
  'test/jobs/',
  'test/e2e/',
  'test/embedded-postgres.test.ts',
  'test/posting/',
  'test/persistence/',
  'test/domain/posting/model.test.ts',
  '',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const rank = ({ moduleId }: TestSpecification): number => {
      const path = relative(this.ctx.config.root, moduleId);
      return RANKS.findIndex((beginning) => path.startsWith(beginning));
    };
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}
