// Generates the Prisma client and compiles the TypeScript, each only when its inputs have changed since the last time.
// Runs after `npm install` and before `npm start` and `npm test`, so that those two commands need nothing else.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const force = process.argv.includes('--force');

function filesBelow(path) {
  return readdirSync(join(root, path), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function digest(files) {
  const hash = createHash('sha256').update(process.versions.node);
  for (const file of files) hash.update(file).update(readFileSync(file));
  return hash.digest('hex');
}

/** Runs `make` unless `stamp` says that it ran for the same inputs and its output is still there. */
function whenChanged({ stamp, output, inputs, make }) {
  const stampFile = join(root, stamp);
  const current = digest(inputs);
  const fresh = existsSync(join(root, output)) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === current;
  if (fresh && !force) return;
  make();
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, current);
}

function run(packageName, bin, args, env = {}) {
  const manifest = require.resolve(`${packageName}/package.json`);
  const script = join(dirname(manifest), require(manifest).bin[bin]);
  try {
    execFileSync(process.execPath, [script, ...args], { cwd: root, env: { ...process.env, ...env }, stdio: 'pipe' });
  } catch (error) {
    process.stderr.write(`${error.stdout ?? ''}${error.stderr ?? ''}\n${bin} failed\n`);
    process.exit(1);
  }
}

whenChanged({
  stamp: 'src/generated/.stamp',
  output: 'src/generated/prisma/client.ts',
  inputs: [join(root, 'prisma/schema.prisma'), require.resolve('prisma/package.json')],
  make() {
    rmSync(join(root, 'src/generated'), { recursive: true, force: true });
    // Prisma's command line insists on the path of an engine that `generate` never runs; any executable will do.
    run('prisma', 'prisma', ['generate', '--no-hints'], {
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      // Generators are commands of packages.
      PATH: [join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter),
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
      CHECKPOINT_DISABLE: '1',
    });
  },
});

whenChanged({
  stamp: 'dist/.stamp',
  output: 'dist/src/main.js',
  inputs: [
    ...filesBelow('src'),
    ...filesBelow('bench'),
    join(root, 'tsconfig.json'),
    join(root, 'tsconfig.build.json'),
  ],
  make() {
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    run('typescript', 'tsc', ['--project', 'tsconfig.build.json']);
    // `npx purser` runs it as it is.
    chmodSync(join(root, 'dist/src/cli/main.js'), 0o755);
  },
});
