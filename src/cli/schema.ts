/** `purser schema`: the SDL of schema.graphql. */
import { printSdl } from '../graphql/schema.ts';

export function printSchema(): void {
  process.stdout.write(printSdl());
}
