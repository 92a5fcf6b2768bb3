import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { Origin } from '@entrepot/fixtures/origin';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';

/** @typedef {{ name: string, version: string, path: string, bytes: Buffer }} BuiltPackage */

/** An archive of Debian packages that `dpkg-deb` built and `gpg` signs, with its mirrors. */
export class DebArchive {
  #folder;
  #env;
  /** @type {BuiltPackage[]} */
  packages = [];
  /** The archive as it is now, by path. @type {Map<string, Buffer>} */
  files = new Map();
  /** Whether index files are there by their sums, too. */
  byHash = true;
  /** Paths of packages that stay when a newer version replaces them. */
  #kept = 50;
  /** @type {string[]} */
  #old = [];
  /** Added to the date of the Release file, in milliseconds. */
  age = 0;
  /** @type {number | undefined} milliseconds from its date */
  validFor;
  isSigned = true;
  compressions = ['gz', 'xz', 'zst'];
  #keyring;

  /** @param {string} folder of its own @param {{ byHash?: boolean }} [options] */
  constructor(folder, { byHash = true } = {}) {
    this.#folder = folder;
    this.byHash = byHash;
    this.#keyring = join(folder, 'archive.gpg');
    this.#env = { ...process.env, GNUPGHOME: join(folder, 'gnupg'), LC_ALL: 'C' };
  }

  /** The public key. */
  get keyring() {
    return this.#keyring;
  }

  async open() {
    await mkdir(join(this.#folder, 'gnupg'), { recursive: true, mode: 0o700 });
    const batch = ['gpg', '--batch', '--quiet', '--pinentry-mode', 'loopback', '--passphrase', ''];
    await this.#run([...batch, '--quick-generate-key', 'Archive <archive@example.com>', 'ed25519', 'sign', 'never']);
    await this.#run(['gpg', '--batch', '--yes', '--output', this.#keyring, '--export', 'archive@example.com']);
    return this;
  }

  /** Ends the agent of gpg. */
  async close() {
    await this.#run(['gpgconf', '--kill', 'all']);
  }

  /**
   * Builds a package.
   * @param {string} name @param {string} version @param {{ size?: number, path?: string, source?: string }} [options]
   */
  async build(name, version, { size = 100, path, source } = {}) {
    const root = join(this.#folder, 'build', `${name}-${version}`);
    await mkdir(join(root, 'DEBIAN'), { recursive: true });
    await mkdir(join(root, 'usr/share', name), { recursive: true });
    const fields = [`Package: ${name}`, `Version: ${version}`, 'Architecture: all', 'Maintainer: Archive <archive@example.com>'];
    if (source !== undefined) fields.push(`Source: ${source}`);
    await writeFile(join(root, 'DEBIAN/control'), `${[...fields, `Description: ${name} of a test`].join('\n')}\n`);
    await writeFile(join(root, 'usr/share', name, 'data'), randomBytes(size));
    const file = `${root}.deb`;
    await this.#run(['dpkg-deb', '-Znone', '--root-owner-group', '--build', root, file]);
    const bytes = await readFile(file);
    const place = path ?? `pool/main/${name[0]}/${name}/${name}_${version.replace(':', '%3a')}_all.deb`;
    const built = { name, version, path: place, bytes, source };
    this.packages = [...this.packages.filter((one) => one.name !== name), built];
    return built;
  }

  /** Publishes all packages: what they replace goes later. */
  async publish() {
    const next = new Map(this.packages.map(({ path, bytes }) => [path, bytes]));
    const list = this.packages.map((one) => stanza(one)).join('\n');
    const suite = 'dists/stable';
    const folder = 'main/binary-amd64';
    /** @type {Map<string, Buffer>} */
    const indexes = new Map([[`${folder}/Packages`, Buffer.from(list)]]);
    if (this.compressions.includes('gz')) indexes.set(`${folder}/Packages.gz`, gzipSync(list));
    if (this.compressions.includes('zst')) indexes.set(`${folder}/Packages.zst`, zstdCompressSync(Buffer.from(list)));
    if (this.compressions.includes('xz')) indexes.set(`${folder}/Packages.xz`, await this.#xz(list));
    const date = new Date(Date.now() + this.age);
    const fields = ['Origin: Debian', 'Label: Test', 'Suite: stable', 'Codename: stable', 'Version: 12.1'];
    fields.push(`Date: ${date.toUTCString()}`, 'Architectures: amd64', 'Components: main');
    if (this.validFor !== undefined) fields.push(`Valid-Until: ${new Date(date.getTime() + this.validFor).toUTCString()}`);
    if (this.byHash) fields.push('Acquire-By-Hash: yes');
    const sums = [...indexes].map(([path, bytes]) => ` ${sha256(bytes)} ${bytes.length} ${path}`);
    const release = `${[...fields, 'SHA256:', ...sums].join('\n')}\n`;
    for (const [path, bytes] of indexes) {
      next.set(`${suite}/${path}`, bytes);
      if (this.byHash) next.set(`${suite}/${folder}/by-hash/SHA256/${sha256(bytes)}`, bytes);
    }
    next.set(`${suite}/Release`, Buffer.from(release));
    if (this.isSigned) {
      next.set(`${suite}/Release.gpg`, await this.#sign(release, '--detach-sign'));
      next.set(`${suite}/InRelease`, await this.#sign(release, '--clearsign'));
    }
    await this.#replace(next);
  }

  /** Changes files as a mirror does: what is new first, then indexes, then the Release files. @param {Map<string, Buffer>} next */
  async #replace(next) {
    const late = (/** @type {string} */ path) => (/Release(?:\.gpg)?$/.test(path) ? 2 : path.includes('/Packages') ? 1 : 0);
    const changes = [...next].filter(([path, bytes]) => this.files.get(path)?.equals(bytes) !== true);
    for (const [path, bytes] of changes.sort(([one], [other]) => late(one) - late(other))) {
      this.files.set(path, bytes);
      await turn();
    }
    this.#old.push(...[...this.files.keys()].filter((path) => !next.has(path) && !this.#old.includes(path)));
    for (const path of this.#old.splice(0, Math.max(0, this.#old.length - this.#kept))) this.files.delete(path);
  }

  /** @param {string} text @param {string} how */
  async #sign(text, how) {
    const file = join(this.#folder, `signed${how}`);
    await writeFile(`${file}.txt`, text);
    await this.#run(['gpg', '--batch', '--yes', '--armor', '--output', `${file}.asc`, how, `${file}.txt`]);
    return await readFile(`${file}.asc`);
  }

  /** @param {string} text */
  async #xz(text) {
    const file = join(this.#folder, 'packed');
    await writeFile(file, text);
    await this.#run(['xz', '--force', file]);
    return await readFile(`${file}.xz`);
  }

  /** @param {readonly string[]} command */
  async #run(command) {
    const result = await runCommand(command, { cwd: this.#folder, env: this.#env, timeout: 120_000 });
    if (result.code !== 0) throw new Error(`${command.join(' ')}: ${outputOf(result)}`);
  }
}

/** A mirror of an archive: over HTTP, with what is wrong with it. */
export class DebMirror extends Origin {
  /** Paths that were asked for. @type {string[]} */
  asked = [];
  /** Changes a file before it is served. @type {(path: string, bytes: Buffer) => Buffer | undefined} */
  spoil = (_path, bytes) => bytes;
  /** Pieces of a body are sent with a pause of so many milliseconds in between. */
  pause = 0;

  /** @param {() => Map<string, Buffer>} files */
  constructor(files) {
    super(async (request, response) => {
      const path = decodeURIComponent((request.url ?? '').slice(1));
      this.asked.push(path);
      const found = files().get(path);
      const bytes = found && this.spoil(path, found);
      if (bytes === undefined) return response.writeHead(404, { 'content-length': 0 }).end();
      const etag = `"${sha256(bytes).slice(0, 32)}"`;
      if (request.headers['if-none-match'] === etag) return response.writeHead(304, { etag }).end();
      response.writeHead(200, { 'content-length': bytes.length, 'content-type': 'application/octet-stream', etag });
      return response.end(bytes);
    });
  }
}

/** @param {BuiltPackage & { source?: string }} built */
function stanza({ name, version, path, bytes, source }) {
  const fields = { Package: name, Source: source, Version: version, Architecture: 'all', Maintainer: 'Archive <archive@example.com>' };
  const file = { Filename: path, Size: bytes.length, SHA256: sha256(bytes), Description: `${name} of a test` };
  return Object.entries({ ...fields, ...file })
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => `${field}: ${value}\n`)
    .join('');
}

/** @param {Buffer} bytes */
export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
