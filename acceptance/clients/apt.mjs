import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { emptied } from '@entrepot/fixtures/scratch';
import { runCommand } from '@entrepot/fixtures/run-command';

/** The apt of this machine in a root of its own: it reads and changes nothing else. */
export class Apt {
  #root;
  #options;

  /** @param {string} root @param {readonly string[]} options of apt: `Acquire::By-Hash=no` */
  constructor(root, options = []) {
    this.#root = root;
    this.#options = options;
  }

  /** Whether this machine has a client, and what an archive needs. */
  static async isThere() {
    for (const tool of ['apt-get', 'gpgv', 'xz']) {
      const result = await runCommand(['which', tool], { cwd: '/', env: process.env, timeout: 10_000 }).catch(
        () => undefined,
      );
      if (result?.code !== 0) return false;
    }
    return true;
  }

  /** Sets the root up. @param {readonly string[]} sources lines of sources.list */
  async open(sources) {
    await emptied(this.#root);
    for (const folder of [
      'etc/apt.conf.d',
      'etc/preferences.d',
      'state/lists/partial',
      'cache/archives/partial',
      'dpkg',
    ])
      await mkdir(join(this.#root, folder), { recursive: true });
    await writeFile(join(this.#root, 'etc/sources.list'), `${sources.join('\n')}\n`);
    await writeFile(join(this.#root, 'dpkg/status'), '');
    await writeFile(join(this.#root, 'empty.conf'), '');
    return this;
  }

  /** Runs apt-get. @param {readonly string[]} words */
  async run(...words) {
    const options = {
      'Dir::Etc': join(this.#root, 'etc'),
      'Dir::Etc::sourcelist': join(this.#root, 'etc/sources.list'),
      'Dir::Etc::sourceparts': '/dev/null',
      'Dir::State': join(this.#root, 'state'),
      'Dir::State::status': join(this.#root, 'dpkg/status'),
      'Dir::Cache': join(this.#root, 'cache'),
      'APT::Architecture': 'amd64',
      'APT::Architectures': 'amd64',
      'APT::Sandbox::User': 'root',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '0',
      'Debug::NoLocking': '1',
    };
    const given = Object.entries(options).map(([name, value]) => `${name}=${value}`);
    const command = ['apt-get', '-y', ...[...given, ...this.#options].flatMap((option) => ['-o', option]), ...words];
    // Settings of this machine, such as a proxy, are not for it.
    const env = { PATH: process.env['PATH'], LC_ALL: 'C', APT_CONFIG: join(this.#root, 'empty.conf') };
    return await runCommand(command, { cwd: this.#root, env, timeout: 300_000 });
  }

  /** Downloads packages with what they need. @param {readonly string[]} names */
  async download(...names) {
    return await this.run('install', '--download-only', '--reinstall', ...names);
  }

  /** The packages that were downloaded. */
  async archives() {
    const found = await readdir(join(this.#root, 'cache/archives'));
    return found.filter((name) => name.endsWith('.deb'));
  }

  /** Forgets lists and packages. */
  async forget() {
    await emptied(join(this.#root, 'state/lists'));
    await emptied(join(this.#root, 'cache/archives'));
    await mkdir(join(this.#root, 'state/lists/partial'));
    await mkdir(join(this.#root, 'cache/archives/partial'));
  }
}
