import { createHash, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { deflateRawSync, crc32 } from 'node:zlib';

const WIDTH = 256;

/** @param {readonly (Uint8Array | string)[]} parts */
function sha256(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/**
 * A checksum database with a key of its own (golang.org/design/25530-sumdb): records, signed tree heads, tiles. Written
 * from the specification and apart from the code that it tests.
 */
export class GoDatabase {
  name;
  /** What clients are given in `GOSUMDB`. */
  verifierKey;
  #key;
  #hash;
  /** @type {string[]} */
  records = [];
  /** The hashes of the full subtrees of 2^level leaves. @type {Buffer[][]} */
  #levels = [[]];
  /** @type {Map<string, number>} */
  #ids = new Map();

  /** @param {string} [name] */
  constructor(name = 'sumdb.test') {
    const pair = generateKeyPairSync('ed25519');
    const raw = pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    const bytes = Buffer.concat([Buffer.of(1), raw]);
    this.name = name;
    this.#key = createPrivateKey({ key: pair.privateKey.export({ format: 'pem', type: 'pkcs8' }) });
    this.#hash = sha256(`${name}\n`, bytes).subarray(0, 4);
    this.verifierKey = `${name}+${this.#hash.toString('hex')}+${bytes.toString('base64')}`;
  }

  get size() {
    return this.records.length;
  }

  /** @param {string} text of a record, with its last newline @param {string} [key] what it is looked up by */
  add(text, key) {
    const id = this.records.push(text) - 1;
    if (key !== undefined) this.#ids.set(key, id);
    let hash = sha256(Buffer.of(0), text);
    for (let level = 0; ; level += 1) {
      const hashes = (this.#levels[level] ??= []);
      hashes.push(hash);
      if (hashes.length % 2 === 1) return id;
      hash = sha256(Buffer.of(1), /** @type {Buffer} */ (hashes.at(-2)), /** @type {Buffer} */ (hashes.at(-1)));
    }
  }

  /** Records that nobody asks for, so that the tree has more than one tile. @param {number} count */
  fill(count) {
    for (let added = 0; added < count; added += 1) this.add(`filler.test/m v0.0.${this.size} h1:filler=\n`);
  }

  /** The root of the first `size` records. @param {number} [size] */
  root(size = this.size) {
    /** @type {Buffer | undefined} */
    let root;
    for (let level = 0; 2 ** level <= size; level += 1) {
      if (Math.floor(size / 2 ** level) % 2 === 0) continue;
      const peak = /** @type {Buffer} */ (this.#levels[level]?.[Math.floor(size / 2 ** level) - 1]);
      root = root === undefined ? peak : sha256(Buffer.of(1), peak, root);
    }
    return root ?? sha256();
  }

  /** @param {number} [size] @param {Buffer} [root] */
  head(size = this.size, root = this.root(size)) {
    return this.sign(`go.sum database tree\n${size}\n${root.toString('base64')}\n`);
  }

  /** @param {string} text */
  sign(text) {
    const signature = Buffer.concat([this.#hash, sign(null, Buffer.from(text), this.#key)]);
    return `${text}\n\u2014 ${this.name} ${signature.toString('base64')}\n`;
  }

  /** @param {string} key `module@version` @param {number} [size] of the tree that it is shown in */
  lookup(key, size = this.size) {
    const id = this.#ids.get(key);
    return id === undefined ? undefined : `${id}\n${this.records[id]}\n${this.head(size)}`;
  }

  /** The bytes at a path such as `tile/8/0/000.p/5`. @param {string} path */
  tile(path) {
    const match = /^tile\/8\/(\d+|data)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d+))?$/.exec(path);
    if (match === null) return undefined;
    const index = Number(/** @type {string} */ (match[2]).replace(/[x/]/g, ''));
    const width = match[3] === undefined ? WIDTH : Number(match[3]);
    if (match[1] === 'data') {
      const records = this.records.slice(index * WIDTH, index * WIDTH + width);
      return records.length < width ? undefined : Buffer.from(records.map((text) => `${text}\n`).join(''));
    }
    const hashes = (this.#levels[8 * Number(match[1])] ?? []).slice(index * WIDTH, index * WIDTH + width);
    return hashes.length < width ? undefined : Buffer.concat(hashes);
  }

  /** What a database answers below its URL. @param {string} path without a leading slash @returns {Buffer | undefined} */
  answer(path) {
    if (path === 'supported') return Buffer.alloc(0);
    if (path === 'latest') return Buffer.from(this.head());
    if (path.startsWith('tile/')) return this.tile(path);
    if (!path.startsWith('lookup/')) return undefined;
    const reply = this.lookup(decodeModule(path.slice('lookup/'.length)));
    return reply === undefined ? undefined : Buffer.from(reply);
  }
}

/** @typedef {object} GoModule
 * @property {string} path
 * @property {string} version
 * @property {string} goMod
 * @property {Buffer} zip
 * @property {string} info
 */

/**
 * A module with its `go.mod` and its zip, and its record in `database`.
 * @param {object} options
 * @param {string} options.path
 * @param {string} options.version
 * @param {Record<string, string | Buffer>} [options.files] besides `go.mod`
 * @param {readonly string[]} [options.requires] `module version`
 * @param {GoDatabase} [options.database]
 * @param {boolean} [options.noGoMod] whether the zip has none, as very old modules
 * @returns {GoModule}
 */
export function goModule({ path, version, files = {}, requires = [], database, noGoMod = false }) {
  const lines = requires.map((line) => `require ${line}\n`).join('');
  const goMod = noGoMod ? `module ${path}\n` : `module ${path}\n\ngo 1.16\n\n${lines}`;
  /** @type {[string, Buffer][]} */
  const all = Object.entries(files).map(([name, text]) => [`${path}@${version}/${name}`, Buffer.from(text)]);
  if (!noGoMod) all.push([`${path}@${version}/go.mod`, Buffer.from(goMod)]);
  const [h1, h1Mod] = [dirHash(all), dirHash([['go.mod', Buffer.from(goMod)]])];
  database?.add(`${path} ${version} ${h1}\n${path} ${version}/go.mod ${h1Mod}\n`, `${path}@${version}`);
  return {
    path,
    version,
    goMod,
    zip: makeZip(all),
    info: JSON.stringify({ Version: version, Time: '2024-01-02T03:04:05Z' }),
  };
}

/** @param {readonly (readonly [string, Buffer])[]} files */
export function dirHash(files) {
  const lines = files
    .map(([name, bytes]) => ({ name, line: `${sha256(bytes).toString('hex')}  ${name}\n` }))
    .sort((one, other) => Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)));
  return `h1:${sha256(lines.map(({ line }) => line).join('')).toString('base64')}`;
}

/** @param {readonly (readonly [string, Buffer])[]} files @returns {Buffer} */
export function makeZip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [name, bytes] of files) {
    const packed = deflateRawSync(bytes);
    const names = Buffer.from(name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE(0x800, 6);
    local.writeUInt16LE(8, 8);
    local.writeUInt32LE(crc32(bytes), 14);
    local.writeUInt32LE(packed.length, 18);
    local.writeUInt32LE(bytes.length, 22);
    local.writeUInt16LE(names.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(20, 4);
    central.writeUInt16LE(20, 6);
    local.copy(central, 8, 6, 30);
    central.writeUInt32LE(offset, 42);
    parts.push(local, names, packed);
    directory.push(central, names);
    offset += local.length + names.length + packed.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

/** The module path or `module@version` that a URL path spells. @param {string} path */
export function decodeModule(path) {
  return decodeURIComponent(path).replace(/!([a-z])/g, (_, letter) => letter.toUpperCase());
}

/**
 * What a module proxy answers to `path`, without a leading slash; `undefined`: 404.
 * @param {readonly GoModule[]} modules
 * @param {GoDatabase} database
 * @param {string} path
 * @returns {{ body: Buffer, mediaType: string } | undefined}
 */
export function proxyAnswer(modules, database, path) {
  const prefix = `sumdb/${database.name}/`;
  if (path.startsWith(prefix)) {
    const body = database.answer(path.slice(prefix.length));
    return body && { body, mediaType: 'text/plain; charset=utf-8' };
  }
  const latest = /^(.*)\/@latest$/.exec(path);
  const file = /^(.*)\/@v\/(list|(.*)\.(info|mod|zip))$/.exec(path);
  const name = decodeModule((latest ?? file)?.[1] ?? '');
  const versions = modules.filter((module) => module.path === name);
  if (versions.length === 0) return undefined;
  if (latest !== null) return { body: Buffer.from(versions.at(-1)?.info ?? ''), mediaType: 'application/json' };
  if (file?.[2] === 'list') {
    return { body: Buffer.from(versions.map(({ version }) => `${version}\n`).join('')), mediaType: 'text/plain' };
  }
  const found = versions.find(({ version }) => version === decodeModule(file?.[3] ?? ''));
  if (found === undefined) return undefined;
  if (file?.[4] === 'info') return { body: Buffer.from(found.info), mediaType: 'application/json' };
  if (file?.[4] === 'mod') return { body: Buffer.from(found.goMod), mediaType: 'text/plain' };
  return { body: found.zip, mediaType: 'application/zip' };
}
