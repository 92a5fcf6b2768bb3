// The first module of every program. It imports none of its own by itself: an older Node would fail on what those import
// before it could say why.
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Distribution } from '../config/distribution.js';

export type { Distribution };

/** The oldest Node that runs this, as `engines` of the package says. */
const OLDEST = [22, 19] as const;

/** The time between two looks whether somebody listens for a hangup yet, in milliseconds. */
const LOOK = 50;

/**
 * Runs the command line of this process, and ends the process.
 * @param distribution the plugins that come with the program
 */
export async function runProgram(distribution?: Distribution): Promise<void> {
  // A server reads its configuration again; it is the command that is meant where none is named. Other commands end with their terminal.
  const [command = 'serve'] = process.argv.slice(2);
  if (command === 'serve' || command.startsWith('-')) process.on('SIGHUP', waitForListener);
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]))
    await (await import('./command-line.js')).runCommandLine(distribution);
  else await runElsewhere();
}

/** A clone of the repository brings a Node along; a package says what is wrong. */
async function runElsewhere(): Promise<void> {
  const launcher = new URL('../../../scripts/node.mjs', import.meta.url);
  const program = process.argv[1];
  if (existsSync(launcher) && program !== undefined) {
    process.argv.splice(1, 1, fileURLToPath(launcher), realpathSync(program));
    await import(launcher.href);
    return;
  }
  const found = process.versions.node;
  process.stderr.write(
    `Entrepot needs Node ${OLDEST.join('.')} or newer, found ${found}: install a maintained version of Node\n`,
  );
  process.exitCode = 1;
}

/** Keeps a hangup that comes while the server starts. */
function waitForListener(): void {
  if (process.listenerCount('SIGHUP') > 1) return;
  setTimeout(() => process.emit('SIGHUP', 'SIGHUP'), LOOK).unref();
}
