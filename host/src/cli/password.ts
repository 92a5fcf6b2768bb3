import { hashPassword } from '../access/password-hash.js';
import { firstLine } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';

/** Prints a hash of the password on standard input: its first line, without the line's end. */
export async function password(_options: object, context: CommandContext): Promise<number> {
  context.write(await hashPassword(firstLine(await context.readInput())));
  return EXIT.ok;
}
