import { hashPassword } from '../access/password-hash.js';
import { EXIT, type CommandContext } from './context.js';

/** Prints a hash of the password on standard input: its first line, without the line's end. */
export async function password(context: CommandContext): Promise<number> {
  const [line = ''] = (await context.readInput()).split(/\r?\n/);
  if (line === '') {
    context.writeError('entrepot: expected a password on standard input');
    return EXIT.failed;
  }
  context.write(await hashPassword(line));
  return EXIT.ok;
}
