/** The command line beside the gateway: `purser schema` prints the SDL of schema.graphql. */
import { printSdl } from '../graphql/schema.ts';

const COMMANDS: Readonly<Record<string, () => void>> = {
  schema: () => void process.stdout.write(printSdl()),
};

const [name = ''] = process.argv.slice(2);
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
if (command) {
  command();
} else {
  process.stderr.write(`usage: purser ${Object.keys(COMMANDS).join(' | ')}\n`);
  process.exitCode = 2;
}
