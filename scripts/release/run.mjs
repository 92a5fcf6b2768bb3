import { outputOf, runCommand } from '@entrepot/fixtures/run-command';

const LONGEST = 10 * 60_000;
/** A bill of materials has some hundred kilobytes; in characters. */
const KEPT = 16 * 2 ** 20;

/**
 * Runs a command to its end.
 * @param {string} folder
 * @param {readonly string[]} command
 * @param {Readonly<Record<string, string>>} [env] what is added to the environment
 * @throws Error with the output, where it fails
 */
export async function run(folder, command, env) {
  const result = await runCommand(command, { cwd: folder, env: outerEnvironment(env), timeout: LONGEST, kept: KEPT });
  if (result.code !== 0) throw new Error(`${command.join(' ')}: ${outputOf(result)}`);
  return result;
}

/**
 * The environment without what an outer npm says of its own project, without settings of Entrepot, and without secrets of the release.
 * @param {Readonly<Record<string, string>>} [more]
 */
export function outerEnvironment(more) {
  const left = /^(npm_(?!config_(registry|userconfig|provenance|\/\/))|ENTREPOT_|RELEASE_KEY$)/i;
  const kept = Object.entries(process.env).filter(([name]) => !left.test(name));
  return { ...Object.fromEntries(kept), ...more };
}
