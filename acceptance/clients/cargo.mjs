import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@entrepot/fixtures/run-command';

/** Whether this machine has a cargo that reads sparse indexes. */
export async function hasCargo() {
  const version = await cargoVersion().catch(() => '');
  const [, minor = '0'] = /^1\.(\d+)/.exec(version) ?? [];
  return Number(minor) >= 70;
}

/** The version of this machine's cargo. */
export async function cargoVersion() {
  const result = await runCommand(['cargo', '--version'], { cwd: '/', env: process.env, timeout: 20_000 });
  return result.stdout.split(' ')[1] ?? '';
}

/**
 * A place of cargo's own: what stands here is all that it knows.
 * @typedef {object} CargoPlace
 * @property {string} home its `CARGO_HOME`
 * @property {string} project
 * @property {Record<string, string>} [settings] of the environment
 * @property {number} [timeout] milliseconds
 */

/** Runs cargo. @param {readonly string[]} args @param {CargoPlace} place */
export function runCargo(args, { home, project, settings = {}, timeout = 300_000 }) {
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    ...(process.env.RUSTUP_HOME !== undefined && { RUSTUP_HOME: process.env.RUSTUP_HOME }),
    CARGO_HOME: home,
    CARGO_NET_RETRY: '0',
    CARGO_INCREMENTAL: '0',
    CARGO_TERM_COLOR: 'never',
    NO_PROXY: '127.0.0.1',
    ...settings,
  };
  return runCommand(['cargo', ...args], { cwd: project, env, timeout });
}

/**
 * Empties a home of cargo, and writes its settings.
 * @param {string} home
 * @param {{ registries: Record<string, string>, replaces?: string }} settings the indexes of registries by their name, and the one that
 *   replaces the public registry
 */
export async function newHome(home, { registries, replaces }) {
  await rm(home, { recursive: true, force: true });
  await mkdir(home, { recursive: true });
  const tables = Object.entries(registries).map(([name, url]) => `[registries.${name}]\nindex = "sparse+${url}/"\n`);
  // Of a registry that asks for a token to be read, cargo wants this said.
  tables.push('[registry]\nglobal-credential-providers = ["cargo:token"]\n');
  if (replaces !== undefined) tables.push(`[source.crates-io]\nreplace-with = "${replaces}"\n`);
  await writeFile(join(home, 'config.toml'), tables.join('\n'));
}

/**
 * Writes a new program.
 * @param {string} folder
 * @param {{ name?: string, dependencies: string, uses?: readonly string[] }} options `uses`: the crates whose `value()` it prints
 */
export async function newProject(folder, { name = 'application', dependencies, uses = [] }) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'src'), { recursive: true });
  const manifest = `[package]\nname = "${name}"\nversion = "0.1.0"\nedition = "2021"\ndescription = "A program"\nlicense = "MIT"\n\n[dependencies]\n${dependencies}\n`;
  await writeFile(join(folder, 'Cargo.toml'), manifest);
  const sum = uses.map((crate) => `${crate.replaceAll('-', '_')}::value()`).join(' + ') || '0';
  await writeFile(join(folder, 'src/main.rs'), `fn main() {\n    println!("{}", ${sum});\n}\n`);
}
