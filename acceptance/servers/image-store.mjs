import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { CACHE } from '@entrepot/fixtures/tools';
import { provideRoots } from './base-images.mjs';

const STORE = join(CACHE, 'image-store');
/** Folder for what holds until the machine starts anew. Podman remembers where that was. */
const RUNNING = join('/run/entrepot-acceptance', createHash('sha256').update(STORE).digest('hex').slice(0, 16));
/** Here the cache mounts of a build are, too. */
const TEMPORARY = join(CACHE, 'image-store-tmp');
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt';
/** Where no namespaces can be made. */
const HERE = ['--isolation', 'chroot', '--network', 'host', '--layers'];
/** Arguments for one time of all files, so that the same files are the same image. */
const FORM = ['--format', 'docker', '--timestamp', '0'];
/** Layers of builds before this one stay for the next one, until there are so many. */
const MOST_IMAGES = 300;

/** Builds images without a daemon, and keeps them with their layers in the cache folder. */
export class ImageStore {
  #folder;
  #driver = 'overlay';
  #bases = { build: '', run: '' };

  /** @param {string} folder for what the programs have while they run */
  constructor(folder) {
    this.#folder = folder;
  }

  /** Opens the store, and makes the images to build and to run on. Overlays cannot be mounted everywhere. */
  async open() {
    await mkdir(TEMPORARY, { recursive: true });
    const roots = await provideRoots();
    for (const name of /** @type {const} */ (['build', 'run']))
      this.#bases[name] = `localhost/node-${name}:${roots.key}`;
    await this.buildah(['info']).catch(async () => {
      this.#driver = 'vfs';
      await this.buildah(['info']);
    });
    const listed = await this.buildah(['images', '--all', '--quiet']);
    if (listed.split('\n').length > MOST_IMAGES) await this.buildah(['rmi', '--all', '--force']);
    await this.#provideBase(this.#bases.build, roots.build);
    await this.#provideBase(this.#bases.run, roots.run);
  }

  get driver() {
    return this.#driver;
  }

  /**
   * Builds deploy/Dockerfile with the settings of this machine's npm, of which nothing stays in the image.
   * @param {string} tag
   * @param {{ arguments?: Record<string, string>, npmrc?: string }} [options] `npmrc`: instead of the user's
   * @returns {Promise<number>} how long that took, in milliseconds
   */
  async build(tag, { arguments: more = {}, npmrc = join(homedir(), '.npmrc') } = {}) {
    const started = performance.now();
    const file = ['--file', join(ROOT, 'deploy/Dockerfile')];
    await this.buildah(['bud', ...FORM, ...this.#settings(more, npmrc), ...file, '--tag', tag, ROOT]);
    return performance.now() - started;
  }

  /**
   * Has the script of a release build the image, and write it into a folder.
   * @param {string} folder
   * @param {string} version
   * @returns {Promise<string>} the archive
   */
  async release(folder, version) {
    const settings = join(this.#folder, 'storage.conf');
    const lines = ['[storage]', `driver = "${this.#driver}"`, `graphroot = "${STORE}"`, `runroot = "${RUNNING}"`];
    await writeFile(settings, `${lines.join('\n')}\n`);
    const script = join(ROOT, 'scripts/build-image.mjs');
    const command = [process.execPath, script, folder, version, '--', ...this.#settings({}, join(homedir(), '.npmrc'))];
    const { stdout } = await this.#run(command, { ...this.environment, CONTAINERS_STORAGE_CONF: settings });
    return stdout.trim();
  }

  /**
   * Arguments of a build on this machine.
   * @param {Record<string, string>} more
   * @param {string} npmrc
   */
  #settings(more, npmrc) {
    const given = { BUILD_IMAGE: this.#bases.build, RUN_IMAGE: this.#bases.run, ...more };
    const mounts = [
      [dirname(AUTHORITIES), dirname(AUTHORITIES)],
      [npmrc, '/root/.npmrc'],
      ['/usr/local/etc/npmrc', '/usr/local/etc/npmrc'],
    ].filter(([source]) => existsSync(String(source)));
    return [
      ...HERE,
      ...mounts.flatMap(([source, target]) => ['--volume', `${source}:${target}:ro`]),
      '--env',
      `NODE_EXTRA_CA_CERTS=${AUTHORITIES}`,
      '--unsetenv',
      'NODE_EXTRA_CA_CERTS',
      ...Object.entries(given).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    ];
  }

  /** The configuration of an image, as docker writes it. @param {string} tag */
  async inspect(tag) {
    return JSON.parse(await this.buildah(['inspect', '--type', 'image', tag])).Docker;
  }

  /** The name of an image for skopeo. @param {string} tag */
  source(tag) {
    return `containers-storage:[${this.#driver}@${STORE}+${RUNNING}]${tag}`;
  }

  /** Bytes of the files of an image. @param {string} tag */
  async unpackedBytes(tag) {
    return await this.#mounted(tag, async (folder) => {
      const { stdout } = await this.#run(['du', '--summarize', '--bytes', folder]);
      return Number.parseInt(stdout, 10);
    });
  }

  /** Files of an image whose names fit. @param {string} tag @param {readonly string[]} tests of `find` */
  async find(tag, tests) {
    return await this.#mounted(tag, async (folder) => {
      const { stdout } = await this.#run(['find', folder, '-xdev', ...tests, '-printf', '/%P\\n']);
      return stdout.split('\n').filter((line) => line !== '');
    });
  }

  /** Bytes of an image as registries have it: its layers, compressed. @param {string} tag */
  async packedBytes(tag) {
    const folder = join(this.#folder, 'packed');
    await this.skopeo(['copy', '--format', 'oci', this.source(tag), `oci:${folder}:image`]);
    const { stdout } = await this.#run(['find', join(folder, 'blobs'), '-type', 'f']);
    const sizes = await Promise.all(
      stdout
        .trim()
        .split('\n')
        .map(async (file) => (await stat(file)).size),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** @param {readonly string[]} args @returns {Promise<string>} */
  async buildah(args) {
    return (await this.#run(['buildah', ...this.#flags(), ...args])).stdout.trim();
  }

  /** @param {readonly string[]} args @returns {Promise<string>} */
  async skopeo(args) {
    return (await this.#run(['skopeo', '--insecure-policy', ...args])).stdout.trim();
  }

  /** The command of podman on this store. @param {readonly string[]} args */
  podman(args) {
    // crun wants another layout of control groups than many machines have.
    const runtime = ['--runtime', 'runc', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none'];
    return ['podman', ...this.#flags(), ...runtime, ...args];
  }

  /** The environment of these programs. */
  get environment() {
    return { ...process.env, TMPDIR: TEMPORARY };
  }

  /** @param {string} tag @param {string} file */
  async #provideBase(tag, file) {
    const isThere = await this.buildah(['inspect', '--type', 'image', tag]).then(
      () => true,
      () => false,
    );
    if (isThere) return;
    const container = await this.buildah(['from', 'scratch']);
    await this.buildah(['add', '--quiet', container, file, '/']);
    const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    await this.buildah(['config', '--env', `PATH=${path}`, container]);
    await this.buildah(['commit', '--quiet', '--rm', '--timestamp', '0', container, tag]);
  }

  /**
   * @template T
   * @param {string} tag
   * @param {(folder: string) => Promise<T>} use
   */
  async #mounted(tag, use) {
    const container = await this.buildah(['from', '--pull-never', tag]);
    try {
      return await use(await this.buildah(['mount', container]));
    } finally {
      await this.buildah(['rm', container]);
    }
  }

  #flags() {
    return ['--root', STORE, '--runroot', RUNNING, '--storage-driver', this.#driver];
  }

  /** @param {readonly string[]} command @param {NodeJS.ProcessEnv} [env] */
  async #run(command, env = this.environment) {
    const result = await runCommand(command, { cwd: ROOT, env, timeout: 900_000, kept: 4_000_000 });
    if (result.code !== 0) throw new Error(`${command[0]} was expected to end with 0: ${outputOf(result)}`);
    return result;
  }
}
