import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { provideTool } from '@entrepot/fixtures/tools';
import { at, run } from './oci-command.mjs';

/** @import { ImagePlace, OciClient, OciSetting } from './oci-command.mjs' */

/**
 * Runs `use` beside a containerd of its own.
 * @param {OciSetting} setting
 * @param {(ctr: readonly string[]) => Promise<void>} use gets the flags that name it
 */
async function withContainerd({ home }, use) {
  const socket = join(home, 'containerd.sock');
  const file = join(home, 'containerd.toml');
  const lines = [
    'version = 2',
    `root = "${join(home, 'root')}"`,
    `state = "${join(home, 'state')}"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    '[grpc]',
    `address = "${socket}"`,
    '[ttrpc]',
    `address = "${socket}.ttrpc"`,
  ];
  await mkdir(home, { recursive: true });
  await writeFile(file, `${lines.join('\n')}\n`);
  const program = (await provideTool('containerd')) ?? 'containerd';
  const env = { PATH: `${process.env.PATH}${delimiter}/usr/sbin`, HOME: home, TMPDIR: home };
  const child = spawn(program, ['--config', file, '--log-level', 'error'], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (log = (log + text).slice(-4000)));
  try {
    await once(child, 'spawn');
    for (let attempt = 0; !existsSync(socket); attempt += 1) {
      if (attempt === 500 || child.exitCode !== null) throw new Error(`containerd did not start: ${log}`);
      await delay(20);
    }
    await use(['--address', socket, '--namespace', 'acceptance']);
  } finally {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await exited;
      clearTimeout(timer);
    }
  }
}

/** Writes a hosts.toml as containerd reads it, and gives its flags. @param {OciSetting} setting @param {string} origin @param {string} server @param {string} [more] */
async function hostsFlags({ home, from }, origin, server, more = '') {
  const folder = join(home, 'hosts', origin);
  await mkdir(folder, { recursive: true });
  const text = `server = "http://127.0.0.1:9"\n\n[host."${server}"]\n  capabilities = ["pull", "resolve"]\n${more}`;
  await writeFile(join(folder, 'hosts.toml'), text);
  return ['--hosts-dir', join(home, 'hosts'), ...userFlags(from)];
}

/** @param {ImagePlace} place */
function userFlags({ credentials }) {
  return credentials === undefined ? [] : ['--user', `${credentials.username}:${credentials.password}`];
}

/** @type {OciClient} */
export const ctr = {
  name: 'ctr',
  also: ['containerd'],
  async read(setting) {
    const { from, images } = setting;
    await withContainerd(setting, async (socket) => {
      const pull = async (/** @type {readonly string[]} */ flags, /** @type {string} */ reference) => {
        const all = ['images', 'pull', '--snapshotter', 'native', '--all-platforms', ...flags];
        await run(setting, 'ctr', [...socket, ...all, reference]);
        const [, row = ''] = (await run(setting, 'ctr', [...socket, 'images', 'ls', `name==${reference}`])).split('\n');
        return /sha256:[0-9a-f]{64}/.exec(row)?.[0];
      };
      const plain = ['--plain-http', ...userFlags(from)];
      assert.equal(await pull(plain, at(from, 'team/app')), images.first.digest);
      if (from.namespace === undefined) return;
      // As containerd does it for a mirror of a whole registry: the name is the upstream's, `?ns=` says which one.
      const byNamespace = await hostsFlags(setting, from.namespace, `http://${from.host}`);
      assert.equal(await pull(byNamespace, `${from.namespace}/team/signed:1.0`), images.subject.digest);
      assert.equal(await pull(byNamespace, `${from.namespace}/team/app@${images.first.digest}`), images.first.digest);
      const override = `http://${from.host}/v2/${from.prefix.replace(/\/$/, '')}`;
      const byPath = await hostsFlags(setting, 'by-path.test', override, '  override_path = true\n');
      const nested = images.nested.tagged('1.0').descriptor.digest;
      assert.equal(await pull(byPath, 'by-path.test/team/nested:1.0'), nested);
    });
  },
  async write(setting) {
    const { from, to, images } = setting;
    await withContainerd(setting, async (socket) => {
      const source = at(from, 'team/app');
      const target = at(to, 'ctr/app');
      const inImages = (/** @type {readonly string[]} */ args) => run(setting, 'ctr', [...socket, 'images', ...args]);
      const pull = ['pull', '--snapshotter', 'native', '--all-platforms', '--plain-http'];
      await inImages([...pull, ...userFlags(from), source]);
      await inImages(['push', '--plain-http', ...userFlags(to), target, source]);
      await inImages(['rm', '--sync', source]);
      await inImages([...pull, ...userFlags(to), target]);
      assert.match(await inImages(['ls', `name==${target}`]), new RegExp(images.first.digest));
    });
  },
};
