import { randomBytes } from 'node:crypto';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { freeShortPort } from '@entrepot/fixtures/apt-cacher-ng';
import { debFile } from '@entrepot/fixtures/deb-archive';
import { Origin } from '@entrepot/fixtures/origin';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { provideTool } from '@entrepot/fixtures/tools';

const TIMEOUT = 60_000;
const DISTRIBUTION = `Origin: Debian
Label: Test
Suite: stable
Codename: stable
Version: 12.1
Architectures: amd64
Components: main
Description: an archive that is changed
`;

/** An archive that the real reprepro keeps and signs, as it has it at each moment, over HTTP. */
export class RepreproArchive extends Origin {
  #program;
  #folder;
  #version = 0;

  /** @param {string} program @param {string} folder @param {number} port */
  constructor(program, folder, port) {
    super(
      async (request, response) => {
        const path = join(folder, 'archive', decodeURIComponent(new URL(request.url ?? '', 'http://archive').pathname));
        const isPublic = /\/archive\/(?:dists|pool)\//.test(path);
        // Of what stands there now, whatever is put in its place meanwhile.
        const file = isPublic ? await open(path).catch(() => undefined) : undefined;
        const found = await file?.stat();
        if (file === undefined || found?.isFile() !== true) {
          await file?.close();
          response.writeHead(404, { 'content-length': 0 }).end();
          return;
        }
        const headers = { etag: `"${found.ino}-${found.mtimeMs}"`, 'last-modified': found.mtime.toUTCString() };
        const { 'if-none-match': tag, 'if-modified-since': since } = request.headers;
        const isKnown = tag === undefined ? since === headers['last-modified'] : tag === headers.etag;
        if (isKnown) {
          await file.close();
          response.writeHead(304, headers).end();
          return;
        }
        response.writeHead(200, {
          ...headers,
          'content-length': found.size,
          'content-type': 'application/octet-stream',
        });
        await pipeline(file.createReadStream(), response);
      },
      '127.0.0.1',
      port,
    );
    this.#program = program;
    this.#folder = folder;
  }

  /** Makes an archive with a key of its own. @param {string} folder @returns {Promise<RepreproArchive | undefined>} absent: this machine has no reprepro or gpg */
  static async create(folder) {
    const [program, gpg] = [await provideTool('reprepro'), await provideTool('gpg')];
    if (program === undefined || gpg === undefined) return undefined;
    // Also for apt-cacher-ng, which takes no upstream on a longer one.
    const archive = new RepreproArchive(program, folder, await freeShortPort());
    await mkdir(join(folder, 'archive/conf'), { recursive: true });
    await mkdir(join(folder, 'keys'), { recursive: true, mode: 0o700 });
    const user = 'Archive <archive@example.com>';
    const unlocked = ['--batch', '--pinentry-mode', 'loopback', '--passphrase', ''];
    await archive.#run([gpg, ...unlocked, '--quick-generate-key', user, 'rsa2048', 'sign', 'never']);
    await archive.#run([gpg, '--armor', '--output', archive.keyring, '--export', user]);
    await writeFile(join(folder, 'archive/conf/distributions'), `${DISTRIBUTION}SignWith: yes\n`);
    return archive;
  }

  /** The public key, as a file for `Signed-By`. */
  get keyring() {
    return join(this.#folder, 'archive.asc');
  }

  /** The version that was published last. */
  get version() {
    return `1.${this.#version}`;
  }

  /** Publishes the next version of a package. Those before stay in the pool, as archives of some size let them. @param {string} name */
  async publish(name) {
    this.#version += 1;
    const { version } = this;
    const file = join(this.#folder, `${name}_${version}_all.deb`);
    await writeFile(file, debFile({ name, version }, randomBytes(100)));
    const flags = ['--silent', '--keepunreferencedfiles', '--section', 'misc', '--priority', 'optional'];
    const basedir = ['--basedir', join(this.#folder, 'archive')];
    await this.#run([this.#program, ...flags, ...basedir, 'includedeb', 'stable', file]);
    await rm(file);
  }

  /** Ends it, and the agent that holds its key. */
  async close() {
    await this.stop();
    await this.#run(['gpgconf', '--kill', 'gpg-agent']).catch(() => {});
  }

  /** @param {readonly string[]} command */
  async #run(command) {
    const env = { PATH: process.env['PATH'], GNUPGHOME: join(this.#folder, 'keys'), LC_ALL: 'C' };
    const result = await runCommand(command, { cwd: this.#folder, env, timeout: TIMEOUT });
    if (result.code !== 0) throw new Error(`${command[0]}: ${outputOf(result)}`);
  }
}
