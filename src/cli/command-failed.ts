/** What a person must mend, in lines for the standard error. */
export class CommandFailed extends Error {
  readonly lines: readonly string[];
  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}
