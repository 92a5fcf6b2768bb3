import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Apt } from '@entrepot/fixtures/apt';
import { fixtureCrate, publication } from '@entrepot/fixtures/cargo-crates';
import { debFile } from '@entrepot/fixtures/deb-archive';
import { get } from '@entrepot/fixtures/get';
import { runHelm } from '@entrepot/fixtures/helm-chart';
import { hasCargo, newHome, newProject, runCargo } from '@entrepot/fixtures/cargo';
import { chartArchive } from '@entrepot/fixtures/helm-charts';
import { hasMaven, Maven } from '@entrepot/fixtures/maven';
import { imagesOf } from '@entrepot/fixtures/oci-images';
import { pushSet } from '@entrepot/fixtures/push-images';
import { runCommand } from '@entrepot/fixtures/run-command';
import { builtTool } from '@entrepot/fixtures/tools';
import { goClients, runGo } from '../../clients/go.mjs';
import { pomOf } from '../maven-hermetic.mjs';

/** @import { CommandResult } from '@entrepot/fixtures/run-command' */

/**
 * A place of a client's own, new for each run: nothing is kept of what it was told before.
 * @typedef {{ folder: string, url: string, host: string, secret: string, sumdb: string,
 *   encrypted: { url: string, certificate: string } | undefined }} Place
 */

/**
 * A client that sends a key in its own way.
 * @typedef {object} KeyClient
 * @property {string} name
 * @property {string} repository
 * @property {() => Promise<boolean>} isThere
 * @property {boolean} [isEncrypted] whether it sends nothing over plain http
 * @property {(place: Place) => Promise<void>} [publish] puts what it installs, with a key that may write
 * @property {(place: Place) => Promise<CommandResult>} install
 */

/** @param {readonly string[]} words @param {string} cwd @param {Record<string, string>} [settings] */
function run(words, cwd, settings = {}) {
  const env = { PATH: process.env.PATH, HOME: cwd, LC_ALL: 'C', NO_PROXY: '127.0.0.1', ...settings };
  return runCommand(words, { cwd, env, timeout: 120_000 });
}

/** @param {readonly string[]} words */
async function has(...words) {
  const result = await runCommand(words, { cwd: '/', env: process.env, timeout: 60_000 }).catch(() => undefined);
  return result?.code === 0;
}

/** @param {string} url @param {string} method @param {Buffer} body @param {string} secret */
async function upload(url, method, body, secret) {
  const answer = await get(url, { method, headers: { authorization: `Bearer ${secret}` }, body });
  if (answer.status >= 300) throw new Error(`${method} ${url}: ${answer.status} ${answer.body}`);
}

/** @type {readonly KeyClient[]} */
export const KEY_CLIENTS = [
  {
    name: 'npm',
    repository: 'npm',
    isThere: () => has('npm', '--version'),
    async install({ folder, url, host, secret }) {
      await writeFile(join(folder, '.npmrc'), `registry=${url}/npm/\n//${host}/npm/:_authToken=${secret}\n`);
      await writeFile(join(folder, 'package.json'), '{"private":true}');
      const flags = ['--no-audit', '--no-fund', `--cache=${join(folder, 'cache')}`, '--fetch-retries=0'];
      return await run(['npm', 'install', 'tool@1.0.0', ...flags], folder);
    },
  },
  {
    name: 'pip',
    repository: 'pypi',
    isThere: () => has('python3', '-m', 'pip', '--version'),
    async install({ folder, url, host, secret }) {
      await writeFile(join(folder, '.netrc'), `machine ${host.split(':')[0]} login ci password ${secret}\n`, {
        mode: 0o600,
      });
      const flags = ['--no-input', '--no-cache-dir', '--retries=0', '--disable-pip-version-check', '--isolated'];
      const target = ['--target', join(folder, 'target'), '--index-url', `${url}/pypi/simple/`];
      return await run(['python3', '-m', 'pip', 'install', ...flags, ...target, 'tool==1.0.0'], folder);
    },
  },
  {
    name: 'go',
    repository: 'go',
    isThere: async () => (await goClients()).some(({ name }) => name === 'go'),
    isEncrypted: true,
    async install({ folder, secret, sumdb, encrypted }) {
      const { host, hostname } = new URL(encrypted?.url ?? '');
      // From 1.24 on the port is a part of the name.
      const lines = [host, hostname].map((name) => `machine ${name} login ci password ${secret}\n`);
      await writeFile(join(folder, '.netrc'), lines.join(''), { mode: 0o600 });
      await writeFile(
        join(folder, 'go.mod'),
        'module example.test/app\n\ngo 1.16\n\nrequire example.test/tool v1.0.0\n',
      );
      const settings = { GOSUMDB: sumdb, SSL_CERT_FILE: encrypted?.certificate ?? '' };
      const place = { project: folder, home: folder, proxy: `${encrypted?.url}/go`, settings };
      return await runGo({ name: 'go', command: 'go' }, ['mod', 'download', 'example.test/tool@v1.0.0'], place);
    },
  },
  {
    name: 'mvn',
    repository: 'maven',
    isThere: hasMaven,
    async install({ folder, url, secret }) {
      const server = { username: 'ci', password: secret };
      const maven = await new Maven(folder).open({ mirror: `${url}/maven`, server });
      const project = join(folder, 'project');
      await mkdir(project);
      const extension =
        '<extension><groupId>com.example.lib</groupId><artifactId>lib0</artifactId><version>1.0</version></extension>';
      const more = `<packaging>pom</packaging><build><extensions>${extension}</extensions></build>`;
      await writeFile(join(project, 'pom.xml'), pomOf('project', '1', more));
      return await maven.run(project, ['validate']);
    },
  },
  {
    name: 'cargo',
    repository: 'crates',
    isThere: hasCargo,
    publish: ({ url, secret }) =>
      upload(
        `${url}/crates/api/v1/crates/new`,
        'PUT',
        publication(fixtureCrate({ name: 'tool', version: '1.0.0' })),
        secret,
      ),
    async install({ folder, url, secret }) {
      const home = join(folder, 'home');
      await newHome(home, { registries: { own: `${url}/crates` } });
      const project = join(folder, 'project');
      await newProject(project, { name: 'app', dependencies: 'tool = { version = "=1.0.0", registry = "own" }\n' });
      return await runCargo(['fetch'], { home, project, settings: { CARGO_REGISTRIES_OWN_TOKEN: secret } });
    },
  },
  {
    name: 'helm',
    repository: 'charts',
    isThere: async () => builtTool('helm-3') !== undefined,
    publish: ({ url, secret }) =>
      upload(`${url}/charts/api/charts`, 'POST', chartArchive({ name: 'tool', version: '1.0.0' }), secret),
    async install({ folder, url, secret }) {
      const helm = /** @type {string} */ (builtTool('helm-3'));
      const login = ['--username', 'ci', '--password', secret];
      const added = await runHelm(helm, ['repo', 'add', 'own', `${url}/charts`, ...login], { cwd: folder });
      if (added.code !== 0) return added;
      return await runHelm(helm, ['pull', 'own/tool', '--version', '1.0.0'], { cwd: folder });
    },
  },
  {
    name: 'skopeo',
    repository: 'images',
    isThere: () => has('skopeo', '--version'),
    publish: ({ url, secret }) => pushSet(url, imagesOf('tool', ['1.0']), `Bearer ${secret}`, 'images/tool'),
    async install({ folder, host, secret }) {
      const auth = join(folder, 'auth.json');
      const login = ['--tls-verify=false', '--authfile', auth, '--username', 'ci', '--password', secret, host];
      const logged = await run(['skopeo', 'login', ...login], folder);
      if (logged.code !== 0) return logged;
      const source = ['--src-tls-verify=false', '--authfile', auth, `docker://${host}/images/tool:1.0`];
      return await run(['skopeo', 'copy', ...source, `dir:${join(folder, 'image')}`], folder);
    },
  },
  {
    name: 'apt',
    repository: 'packages',
    isThere: () => Apt.isThere(),
    publish: ({ url, secret }) => {
      const file = debFile({ name: 'tool', version: '1.0', architecture: 'amd64' }, Buffer.from('tool'));
      return upload(`${url}/packages/pool/stable/main/tool_1.0_amd64.deb`, 'PUT', file, secret);
    },
    async install({ folder, url, secret }) {
      const place = `${url}/packages`;
      const apt = await new Apt(join(folder, 'apt')).open([`deb [trusted=yes] ${place} stable main`]);
      await apt.logIn(place, 'ci', secret);
      const updated = await apt.run('update', '--error-on=any');
      return updated.code === 0 ? await apt.download('tool') : updated;
    },
  },
  {
    name: 'curl',
    repository: 'files',
    isThere: () => has('curl', '--version'),
    publish: ({ url, secret }) => upload(`${url}/files/tool.txt`, 'PUT', Buffer.from('tool'), secret),
    install: ({ folder, url, secret }) =>
      run(['curl', '-fsS', '--oauth2-bearer', secret, '-o', 'tool.txt', `${url}/files/tool.txt`], folder),
  },
];

/** The repositories that those who publish need. */
export const HOSTED = {
  crates: { type: 'cargo', kind: 'hosted', access: {} },
  charts: { type: 'helm', kind: 'hosted', access: {} },
  images: { type: 'oci', kind: 'hosted', access: {} },
  packages: { type: 'deb', kind: 'hosted', access: {} },
  files: { type: 'files', kind: 'hosted', access: {} },
};
