import type { CommandContext } from './context.js';

/** Prints the answer of a server as JSON, or as lines for people. */
export function printAnswer(
  answer: object,
  lines: readonly string[],
  { json = false }: { readonly json?: boolean },
  context: CommandContext,
): void {
  if (json) context.write(JSON.stringify(answer, undefined, 2));
  else for (const line of lines) context.write(line);
}
