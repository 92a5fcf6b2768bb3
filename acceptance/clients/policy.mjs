import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Maven } from '@entrepot/fixtures/maven';
import {
  GO_ROTTEN,
  GO_SUBJECT,
  IMAGE,
  MAVEN_GROUP,
  ROTTEN,
  SUBJECT,
  VERSIONS,
} from '@entrepot/fixtures/policy-packages';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { provideTool, TOOLS } from '@entrepot/fixtures/tools';
import { Apt } from '@entrepot/fixtures/apt';
import { Pacman } from '@entrepot/fixtures/pacman';
import { rpmClients } from '@entrepot/fixtures/rpm-clients';
import { cargoVersion, newHome, newProject, runCargo } from '@entrepot/fixtures/cargo';
import { forget, runGo } from './go.mjs';
import { tryHelm } from './helm.mjs';
import { runClient } from './npm.mjs';
import { installed, pythonOfMachine, runUv } from './python.mjs';

/** @import { Client } from './npm.mjs' */
/** @import { GoClient } from './go.mjs' */
/** @import { HelmClient } from './helm.mjs' */
/** @import { PolicyUpstreams } from '../servers/policy-upstreams.mjs' */
/** @import { PythonClient } from './python.mjs' */
/** @import { CommandResult } from '@entrepot/fixtures/run-command' */

/**
 * Forms of a request for a package: `range`, whatever is good; `pin`, exactly this version; `locked`, what a lockfile from
 * before the policy says; `direct`, the URL of its archive; `rotten`, a package that has no good version.
 * @typedef {'range' | 'pin' | 'locked' | 'direct' | 'rotten'} Way
 */

/**
 * @typedef {object} Outcome
 * @property {boolean} succeeded
 * @property {string | undefined} version what was installed; absent: nothing
 * @property {string} text what the client printed
 */

/**
 * @typedef {object} PolicyPlace
 * @property {string} folder for everything that clients keep
 * @property {string} url of the server
 * @property {PolicyUpstreams} upstreams
 */

/**
 * A real, unmodified client that wants one package.
 * @typedef {object} PolicyClient
 * @property {string} name
 * @property {() => Promise<string>} version
 * @property {readonly Way[]} ways those that it has
 * @property {(place: PolicyPlace, way: Way, version: string) => Promise<Outcome>} get into an empty place, with empty caches
 */

/** @param {Client} client @returns {PolicyClient} */
export function npmClient(client) {
  return {
    name: client.name,
    version: async () =>
      client.version === 'of this machine' ? printed(['npm', '--version'], process.env) : client.version,
    // pnpm takes a URL below its registry for the name of a package.
    ways: client.name.startsWith('pnpm')
      ? ['range', 'pin', 'locked', 'rotten']
      : ['range', 'pin', 'locked', 'direct', 'rotten'],
    async get({ folder, url, upstreams }, way, version) {
      const ours = {
        home: join(folder, `${client.name}-home`),
        project: join(folder, client.name),
        registry: `${url}/npm`,
      };
      const name = way === 'rotten' ? ROTTEN : SUBJECT;
      const begin = async (/** @type {string} */ wanted) => {
        await rm(ours.home, { recursive: true, force: true });
        await rm(ours.project, { recursive: true, force: true });
        await mkdir(ours.project, { recursive: true });
        const manifest = { name: 'application', version: '1.0.0', private: true, dependencies: { [name]: wanted } };
        await writeFile(join(ours.project, 'package.json'), JSON.stringify(manifest));
        // Otherwise it refuses a lockfile by itself, whose versions it does not find in the document.
        if (client.name === 'pnpm-12')
          await writeFile(join(ours.project, 'pnpm-workspace.yaml'), 'minimumReleaseAge: 0\n');
      };
      // Otherwise it takes no URL.
      let args = client.name === 'npm-12' ? [...client.install, '--allow-remote=all'] : client.install;
      if (way === 'locked') {
        // By somebody who was past the policy.
        await begin(version);
        const before = await runClient(client, client.install, { ...ours, registry: upstreams.npm.url });
        if (before.code !== 0) throw new Error(`${client.name} made no lockfile: ${outputOf(before)}`);
        const lockfile = await readFile(join(ours.project, client.lockfile), 'utf8');
        await begin(version);
        await writeFile(join(ours.project, client.lockfile), lockfile.replaceAll(upstreams.npm.url, ours.registry));
        args = client.frozen;
      } else {
        const direct = `${ours.registry}/${name}/-/${name}-${version}.tgz`;
        await begin(way === 'direct' ? direct : way === 'pin' ? version : '^1.0.0');
      }
      const result = await runClient(client, args, ours);
      const manifest = await readFile(join(ours.project, 'node_modules', name, 'package.json'), 'utf8').catch(
        () => '{}',
      );
      return outcome(result, JSON.parse(manifest).version);
    },
  };
}

/** @param {PythonClient} client @returns {PolicyClient} */
export function pythonClient(client) {
  return {
    name: client.name,
    version: async () => {
      if (client.version !== 'of this machine') return client.version;
      const text = await printed([await pythonOfMachine(), '-m', 'pip', '--version'], process.env);
      return text.split(' ')[1] ?? '';
    },
    ways: ['range', 'pin', 'locked', 'direct', 'rotten'],
    async get({ folder, url, upstreams }, way, version) {
      const own = join(folder, `${client.name}-run`);
      await rm(own, { recursive: true, force: true });
      const index = `${url}/pypi/simple/`;
      const place = { folder: own, index, unhashed: true, requirements: '' };
      const file = upstreams.python.projects.get(SUBJECT)?.files.find((candidate) => candidate.version === version);
      const archive = `${url}/pypi/files/${SUBJECT}/${file?.sha256.slice(0, 16)}/${file?.filename}`;
      if (way === 'locked' && client.name === 'uv') return lockedByUv(place, upstreams, { version, archive });
      // With a hash it is looked for on the page all the same.
      const requirements = {
        range: `${SUBJECT}>=1.0`,
        pin: `${SUBJECT}==${version}`,
        locked: `${SUBJECT}==${version} --hash=sha256:${file?.sha256}`,
        direct: `${SUBJECT} @ ${archive}`,
        rotten: ROTTEN,
      }[way];
      const result = await client.install({ ...place, requirements: `${requirements}\n`, unhashed: way !== 'locked' });
      return outcome(result, (await installed(own))[0]?.split('==')[1]);
    },
  };
}

/**
 * A lockfile of a project, which has the URLs of archives.
 * @param {{ folder: string, index: string, requirements: string }} place
 * @param {PolicyUpstreams} upstreams
 * @param {{ version: string, archive: string }} wanted
 */
async function lockedByUv(place, upstreams, { version, archive }) {
  const project = `[project]\nname = "application"\nversion = "1.0"\nrequires-python = ">=3.9"\ndependencies = ["${SUBJECT}==${version}"]\n`;
  await mkdir(place.folder, { recursive: true });
  await writeFile(join(place.folder, 'pyproject.toml'), project);
  const python = ['--python', await pythonOfMachine()];
  const before = await runUv({ ...place, index: `${upstreams.python.index.url}/simple/` }, ['lock', ...python]);
  if (before.code !== 0) throw new Error(`uv made no lockfile: ${outputOf(before)}`);
  const lockfile = join(place.folder, 'uv.lock');
  const text = (await readFile(lockfile, 'utf8'))
    .replaceAll(new RegExp(`${upstreams.python.files.url}/[^"]+`, 'g'), archive)
    .replaceAll(`${upstreams.python.index.url}/simple/`, place.index);
  await rm(join(place.folder, 'uv-cache'), { recursive: true, force: true });
  await writeFile(lockfile, text);
  const result = await runUv(place, ['sync', '--frozen', ...python]);
  return outcome(result, result.code === 0 ? version : undefined);
}

/** @param {GoClient} client @returns {PolicyClient} */
export function goClient(client) {
  return {
    name: client.name,
    version: async () => (await printed([client.command, 'version'], goEnvironment())).split(' ')[2] ?? '',
    ways: ['range', 'pin', 'locked', 'rotten'],
    async get({ folder, url, upstreams }, way, version) {
      const [project, home] = [join(folder, `${client.name}-project`), join(folder, `${client.name}-home`)];
      await rm(project, { recursive: true, force: true });
      await mkdir(project);
      await forget(home);
      const settings = { GOSUMDB: upstreams.goDatabase.verifierKey };
      const place = { project, home, proxy: `${url}/go`, settings };
      const file = join(project, 'go.mod');
      const name = way === 'rotten' ? GO_ROTTEN : GO_SUBJECT;
      await writeFile(join(project, 'main.go'), `package main\n\nimport _ "${name}"\n\nfunc main() {}\n`);
      if (way === 'locked') {
        await writeFile(file, `module app.test/app\n\ngo 1.16\n\nrequire ${name} v${version}\n`);
        const before = await runGo(client, ['mod', 'tidy'], { ...place, proxy: upstreams.go.url });
        if (before.code !== 0) throw new Error(`${client.name} made no go.sum: ${outputOf(before)}`);
        await forget(home);
        const result = await runGo(client, ['build', '-o', 'app', '.'], place);
        return outcome(result, result.code === 0 ? version : undefined);
      }
      await writeFile(file, 'module app.test/app\n\ngo 1.16\n');
      const wanted = way === 'pin' ? `v${version}` : 'latest';
      const result = await runGo(client, ['get', `${name}@${wanted}`], place);
      const found = /^require \S+ v(\S+)/m.exec(await readFile(file, 'utf8'));
      return outcome(result, found?.[1]);
    },
  };
}

/** @returns {PolicyClient} */
export function cargoClient() {
  return {
    name: 'cargo',
    version: cargoVersion,
    ways: ['range', 'pin', 'locked', 'rotten'],
    async get({ folder, url, upstreams }, way, version) {
      const [project, home] = [join(folder, 'cargo-project'), join(folder, 'cargo-home')];
      const wanted = { pin: `=${version}`, locked: `=${version}` }[String(way)] ?? '1';
      const begin = async (/** @type {string} */ index) => {
        await newHome(home, { registries: { here: index }, replaces: 'here' });
        await newProject(project, { dependencies: `${way === 'rotten' ? ROTTEN : SUBJECT} = "${wanted}"` });
      };
      const lockfile = join(project, 'Cargo.lock');
      if (way === 'locked') {
        // By somebody who was past the policy.
        await begin(upstreams.cargo.url);
        const before = await runCargo(['fetch'], { home, project });
        if (before.code !== 0) throw new Error(`cargo made no lockfile: ${outputOf(before)}`);
        const text = await readFile(lockfile, 'utf8');
        await begin(`${url}/cargo`);
        await writeFile(lockfile, text);
      } else await begin(`${url}/cargo`);
      const result = await runCargo(['fetch', ...(way === 'locked' ? ['--locked'] : [])], { home, project });
      const text = await readFile(lockfile, 'utf8').catch(() => '');
      const found = new RegExp(`name = "${SUBJECT}"\nversion = "([^"]+)"`).exec(text)?.[1];
      return outcome(result, result.code === 0 ? found : undefined);
    },
  };
}

/** @returns {PolicyClient} */
export function mavenClient() {
  return {
    name: 'mvn',
    version: async () => /Apache Maven ([\d.]+)/.exec(await printed(['mvn', '-v'], process.env))?.[1] ?? '',
    // Its metadata has no dates: a range leads to a version that is too young.
    ways: ['pin', 'rotten'],
    async get({ folder, url }, way, version) {
      const home = join(folder, 'mvn-home');
      const project = join(home, 'project');
      await rm(home, { recursive: true, force: true });
      await mkdir(project, { recursive: true });
      const name = way === 'rotten' ? 'holder' : SUBJECT;
      // Maven fetches extensions by itself, without any plugin.
      const extension = `<extension><groupId>${MAVEN_GROUP}</groupId><artifactId>${name}</artifactId><version>${version}</version></extension>`;
      const build = `<packaging>pom</packaging><build><extensions>${extension}</extensions></build>`;
      await writeFile(
        join(project, 'pom.xml'),
        `<project><modelVersion>4.0.0</modelVersion><groupId>com.example</groupId><artifactId>app</artifactId><version>1</version>${build}</project>`,
      );
      const client = await new Maven(home).open({ mirror: `${url}/maven` });
      const result = await client.run(project, ['validate']);
      const kept = join(client.repository, MAVEN_GROUP.replaceAll('.', '/'), way === 'rotten' ? ROTTEN : SUBJECT);
      const files = await readdir(kept, { recursive: true }).catch(() => /** @type {string[]} */ ([]));
      return outcome(result, files.find((path) => path.endsWith('.jar'))?.split('/')[0]);
    },
  };
}

function goEnvironment() {
  return { ...process.env, GOTOOLCHAIN: 'local' };
}

/** @param {HelmClient} client @returns {PolicyClient} */
export function helmClient(client) {
  return {
    name: client.name,
    version: async () => {
      const tool = TOOLS[client.name];
      return tool.from === 'go' ? tool.version : '';
    },
    ways: ['range', 'pin', 'direct', 'rotten'],
    async get({ folder, url }, way, version) {
      const home = join(folder, `${client.name}-home`);
      await rm(home, { recursive: true, force: true });
      const added = await tryHelm(client, home, ['repo', 'add', 'here', `${url}/helm`]);
      if (added.code !== 0) throw new Error(`the repository could not be added: ${outputOf(added)}`);
      const out = join(home, 'charts');
      await mkdir(out);
      const wanted = {
        range: ['here/subject'],
        pin: ['here/subject', '--version', version],
        locked: [],
        direct: [`${url}/helm/charts/subject-${version}.tgz`],
        rotten: ['here/rotten'],
      }[way];
      const result = await tryHelm(client, home, ['pull', ...wanted, '--destination', out]);
      const [archive] = await readdir(out);
      return outcome(result, archive?.replace(/^.*-|\.tgz$/g, ''));
    },
  };
}

/** Absent where this machine has none. @returns {Promise<PolicyClient | undefined>} */
export async function skopeoClient() {
  const program = await provideTool('skopeo');
  if (program === undefined) return undefined;
  return {
    name: 'skopeo',
    version: async () => (await printed([program, '--version'], process.env)).split(' ')[2] ?? '',
    ways: ['range', 'pin', 'locked'],
    async get({ folder, url, upstreams }, way, version) {
      const home = join(folder, 'skopeo-home');
      await rm(home, { recursive: true, force: true });
      await mkdir(home);
      const run = (/** @type {readonly string[]} */ args) =>
        runCommand([program, ...args], {
          cwd: home,
          env: { PATH: process.env.PATH, HOME: home, TMPDIR: home, XDG_RUNTIME_DIR: home, NO_PROXY: '127.0.0.1' },
          timeout: 60_000,
        });
      const image = `docker://${url.replace('http://', '')}/oci/${IMAGE}`;
      if (way === 'range') {
        const result = await run(['list-tags', '--tls-verify=false', image]);
        return outcome(result, result.code === 0 ? JSON.parse(result.stdout).Tags.toSorted().at(-1) : undefined);
      }
      const reference = way === 'locked' ? `@${upstreams.image.tagged(version).descriptor.digest}` : `:${version}`;
      const target = `dir:${join(home, 'out')}`;
      const result = await run(['copy', '--all', '--src-tls-verify=false', `${image}${reference}`, target]);
      return outcome(result, result.code === 0 ? version : undefined);
    },
  };
}

/** Absent where this machine has none. @returns {Promise<PolicyClient | undefined>} */
export async function aptClient() {
  if (!(await Apt.isThere())) return undefined;
  return {
    name: 'apt',
    version: async () => (await printed(['apt-get', '--version'], process.env)).split(' ')[1] ?? '',
    // Its index is signed, and names refused versions: there is no range that leads to another one.
    ways: ['pin', 'rotten'],
    async get({ folder, url, upstreams }, way, version) {
      const source = `deb [signed-by=${upstreams.deb?.keyring}] ${url}/debian stable main`;
      const client = await new Apt(join(folder, 'apt-home')).open([source]);
      const updated = await client.run('update');
      if (updated.code !== 0) throw new Error(`the index could not be had: ${outputOf(updated)}`);
      const result = await client.download(way === 'rotten' ? ROTTEN : `${SUBJECT}=${version}`);
      const [archive] = await client.archives();
      return outcome(result, archive?.split('_')[1]);
    },
  };
}

/** dnf and zypper, as far as this machine has them. @returns {Promise<PolicyClient[]>} */
export async function rpmPolicyClients() {
  return Object.entries(await rpmClients()).map(([name, make]) => ({
    name,
    version: async () => (await printed([name, '--version'], process.env)).split('\n')[0]?.replace('zypper ', '') ?? '',
    // Its index names refused versions: there is no range that leads to another one.
    ways: ['pin', 'rotten'],
    async get({ folder, url }, way, version) {
      const client = await make(join(folder, `${name}-home`)).open(`${url}/rocky`);
      const result = await client.install(way === 'rotten' ? ROTTEN : `${SUBJECT}-${version}`);
      return outcome(result, /-([\d.]+)-1\.noarch/.exec(await client.installed())?.[1]);
    },
  }));
}

/** Absent where this machine has none. @returns {Promise<PolicyClient | undefined>} */
export async function pacmanClient() {
  if (!(await Pacman.isThere())) return undefined;
  return {
    name: 'pacman',
    version: async () => /Pacman v(\S+)/.exec(await printed(['pacman', '--version'], process.env))?.[1] ?? '',
    ways: ['pin', 'rotten'],
    async get({ folder, url }, way, version) {
      const place = way === 'rotten' ? VERSIONS.good : version;
      const client = await new Pacman(join(folder, 'pacman-home')).open(`${url}/arch/${place}/core/os/x86_64`);
      const result = await client.run('-Sy', way === 'rotten' ? ROTTEN : SUBJECT);
      return outcome(result, / ([\d.]+)-1$/.exec(await client.installed())?.[1]);
    },
  };
}

/** @param {CommandResult} result @param {string | undefined} version @returns {Outcome} */
function outcome(result, version) {
  return { succeeded: result.code === 0, version, text: `${result.stdout}\n${result.stderr}` };
}

/** @param {readonly string[]} command @param {NodeJS.ProcessEnv} env */
async function printed(command, env) {
  const result = await runCommand(command, { cwd: '/', env, timeout: 30_000 });
  return result.stdout.trim().split('\n')[0] ?? '';
}
