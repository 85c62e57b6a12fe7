/**
 * Prisma's schema engine, as the WebAssembly module that its own command line will use. It needs no downloaded binary,
 * and it keeps the same records as `prisma migrate deploy`, so that either can go on where the other stopped.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import {
  bindMigrationAwareSqlAdapterFactory,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';

/** Node has it; the compiler would know it only together with everything else of browsers. */
declare const WebAssembly: {
  instantiate(module: Uint8Array, imports: object): Promise<{ instance: { exports: Record<string, unknown> } }>;
};

type SchemaFiles = readonly { readonly path: string; readonly content: string }[];

/** One module instance serves the whole process: the bindings keep it in a variable of their own. */
let loading: Promise<void> | undefined;

export async function withSchemaEngine<T>(
  schemaFiles: SchemaFiles,
  adapterFactory: SqlMigrationAwareDriverAdapterFactory,
  use: (engine: bindings.SchemaEngine) => Promise<T>,
): Promise<T> {
  loading ??= load();
  await loading;
  const datamodels = schemaFiles.map(({ path, content }): [string, string] => [path, content]);
  const ignoreLog = () => undefined;
  const adapter = bindMigrationAwareSqlAdapterFactory(adapterFactory);
  const engine = await bindings.SchemaEngine.new({ datamodels }, ignoreLog, adapter);
  try {
    return await use(engine);
  } finally {
    engine.free();
  }
}

async function load(): Promise<void> {
  const bindingsPath = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const bytes = await readFile(join(bindingsPath, '..', 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': imports() });
  bindings.__wbg_set_wasm(instance.exports);
  const start = instance.exports.__wbindgen_start;
  if (typeof start !== 'function') throw new Error('The schema engine is of a version with another way to start.');
  start();
}

/**
 * What the module asks of its host. The engine leaves the timer running that bounds its wait for a lock; that timer may
 * not keep a process alive that has done its work.
 */
function imports(): Record<string, unknown> {
  const passingTimer = (callback: () => void, delayMs: number) => setTimeout(callback, delayMs >>> 0).unref();
  const entries = Object.entries(bindings).map(([name, value]): [string, unknown] => {
    return [name, name.startsWith('__wbg_setTimeout_') ? passingTimer : value];
  });
  return Object.fromEntries(entries);
}
