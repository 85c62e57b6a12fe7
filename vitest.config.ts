import { createRequire } from 'node:module';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

export default defineConfig({
  // The libraries load graphql as CommonJS; a second copy of it here would make every GraphQLError a stranger to them.
  resolve: { alias: [{ find: /^graphql$/, replacement: createRequire(import.meta.url).resolve('graphql') }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores, and every file has a gateway or a database of its own.
    maxWorkers: 2,
    // The files of a worker share its modules, which are loaded, and compiled by the engine, once: no module of the project
    // keeps anything that a test could change for another. Every file has a database, and so a world, of its own.
    isolate: false,
    // As a gateway is started: less is moved about while it is young.
    execArgv: ['--max-semi-space-size=64'],
    sequence: { sequencer: LongestFirst },
  },
});
