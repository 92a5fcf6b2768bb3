import { stringify } from 'yaml';
import { apiClient, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';

/** Prints the configuration that a server has in force, without its secrets. */
export async function configuration(
  { json, ...options }: ServerOptions & { readonly json?: boolean },
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  type Answer = { readonly sources: readonly string[]; readonly configuration: object };
  const answer = await client.ask<Answer>('GET', '/configuration');
  if (json === true) context.write(JSON.stringify(answer, undefined, 2));
  else context.write(`# ${answer.sources.join(', ')}\n${stringify(answer.configuration).trimEnd()}`);
  return EXIT.ok;
}
