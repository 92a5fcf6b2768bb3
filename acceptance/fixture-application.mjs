import { createHash } from 'node:crypto';
import { tarball } from './tar.mjs';

/**
 * @typedef {object} FixtureVersion
 * @property {Record<string, unknown>} manifest
 * @property {string} tarballPath below the registry, percent-encoded, with its query
 * @property {() => Buffer} tarball
 * @property {string | undefined} integrity absent: only the sha1 sum is published
 * @property {string} shasum
 * @property {string} [published] an instant; left out: years ago
 */

/**
 * @typedef {object} FixturePackage
 * @property {string} name
 * @property {Map<string, FixtureVersion>} versions
 * @property {Record<string, string>} tags
 */

/** What a synthetic application needs of its registry, and the application itself. */
export class FixtureApplication {
  /** @type {Map<string, FixturePackage>} */
  packages = new Map();
  /** @type {Record<string, unknown>} the `package.json` of the application */
  manifest;

  constructor() {
    this.manifest = {
      name: 'synthetic-application',
      version: '1.0.0',
      private: true,
      license: 'UNLICENSED',
      dependencies: this.#publishAll(),
    };
  }

  /**
   * What a lockfile may say about the bytes of one version: the published integrity, or the same digest in another form.
   * @param {string} name
   * @param {string} version
   * @returns {readonly string[]}
   */
  acceptedIntegrity(name, version) {
    const found = this.packages.get(name)?.versions.get(version);
    if (found === undefined) return [];
    const sha1 = `sha1-${Buffer.from(found.shasum, 'hex').toString('base64')}`;
    if (found.integrity !== undefined) return [found.integrity];
    // A client that is given a sha1 sum alone records that one, or computes a better one from the bytes.
    return [sha1, sri(found.tarball()), ''];
  }

  /** @returns {Record<string, string>} the dependencies of the application */
  #publishAll() {
    /** @type {Record<string, string>} */
    const wanted = {};
    const count = (/** @type {number} */ length) => Array.from({ length }, (_, index) => pad(index));

    for (const index of count(100)) this.#publish(`leaf-${index}`, '1.2.3', { size: 600 + Number(index) * 90 });
    for (const index of count(40)) {
      const next = Number(index) + 1;
      this.#publish(`chain-${index}`, '2.0.0', { dependencies: next < 40 ? { [`chain-${pad(next)}`]: '^2.0.0' } : {} });
    }
    wanted['chain-00'] = '2.0.0';

    this.#publish('framework', '1.4.0', { size: 180_000 });
    this.#publish('framework', '0.9.0', {});
    wanted.framework = '^1.0.0';
    for (const index of count(60)) {
      const first = (Number(index) * 5) % 100;
      this.#publish(`@acme/ui-${index}`, '3.1.0', {
        dependencies: { [`leaf-${pad(first)}`]: '^1.0.0', [`leaf-${pad((first + 7) % 100)}`]: '~1.2.0' },
        peerDependencies: { framework: '>=1' },
        size: 4000 + Number(index) * 500,
      });
      wanted[`@acme/ui-${index}`] = '^3.0.0';
    }
    for (const index of count(60)) {
      this.#publish(`part-${index}`, '0.4.1', { dependencies: { [`leaf-${pad(Number(index) + 30)}`]: '1.2.3' } });
      if (Number(index) % 2 === 0) wanted[`part-${index}`] = '~0.4.0';
      else this.#publish(`group-${index}`, '1.0.0', { dependencies: { [`part-${index}`]: '^0.4.0' } });
    }
    for (const index of count(60)) if (Number(index) % 2 === 1) wanted[`group-${index}`] = '1.x';

    const platforms = [
      ['linux', 'x64'],
      ['linux', 'arm64'],
      ['darwin', 'x64'],
      ['darwin', 'arm64'],
      ['win32', 'x64'],
    ];
    /** @type {Record<string, string>} */
    const optionalDependencies = {};
    for (const [os, cpu] of platforms) {
      this.#publish(`@native/addon-${os}-${cpu}`, '5.0.0', { fields: { os: [os], cpu: [cpu] }, size: 300_000 });
      optionalDependencies[`@native/addon-${os}-${cpu}`] = '5.0.0';
    }
    this.#publish('native-addon', '5.0.0', { optionalDependencies });
    wanted['native-addon'] = '^5.0.0';

    for (let major = 1; major <= 4; major += 1) {
      for (let minor = 0; minor < 100; minor += 1) this.#publish('many-versions', `${major}.${minor}.0`, {});
    }
    this.#publish('many-versions', '5.0.0-beta.1', {});
    this.#tag('many-versions', { latest: '4.99.0', previous: '3.99.0', beta: '5.0.0-beta.1' });
    this.#publish('wants-old', '1.0.0', { dependencies: { 'many-versions': '^2.10.0' } });
    wanted['many-versions'] = '^3.0.0';
    wanted['wants-old'] = '1.0.0';

    this.#publish('early-bird', '1.0.0', {});
    this.#publish('early-bird', '2.0.0-rc.3', {});
    this.#tag('early-bird', { latest: '1.0.0', next: '2.0.0-rc.3' });
    wanted['early-bird'] = 'next';

    this.#publish('legacy-sum', '0.0.9', { sha1Only: true });
    wanted['legacy-sum'] = '0.0.9';
    this.#publish('odd-tarball', '1.0.0', { tarballPath: 'archive/odd/bundle-final.tgz' });
    this.#publish('@acme/odd-scoped', '1.0.0', { tarballPath: 'download/acme-odd-scoped-v1.tgz?generation=7' });
    wanted['odd-tarball'] = '1.0.0';
    wanted['@acme/odd-scoped'] = '1.0.0';
    this.#publish('command-line', '1.1.0', { fields: { bin: { 'command-line': 'bin.js' } } });
    wanted['command-line'] = '1.1.0';
    // Clients ask for themselves: whether they are up to date, or what the registry can do.
    for (const client of ['npm', 'pnpm', 'yarn', 'bun']) this.#publish(client, '1.0.0', {});
    return wanted;
  }

  /**
   * @param {string} name
   * @param {string} version
   * @param {{ dependencies?: Record<string, string>, peerDependencies?: Record<string, string>,
   *   optionalDependencies?: Record<string, string>, fields?: Record<string, unknown>, size?: number,
   *   sha1Only?: boolean, tarballPath?: string }} options
   */
  #publish(name, version, { fields = {}, size = 1500, sha1Only = false, tarballPath, ...dependencies }) {
    const manifest = { ...fields, ...dependencies };
    const published = fixtureVersion(name, version, { manifest, size, tarballPath });
    const found = this.packages.get(name) ?? { name, versions: new Map(), tags: {} };
    found.versions.set(version, { ...published, ...(sha1Only && { integrity: undefined }) });
    found.tags = { latest: version };
    this.packages.set(name, found);
  }

  /** @param {string} name @param {Record<string, string>} tags */
  #tag(name, tags) {
    const found = this.packages.get(name);
    if (found === undefined) throw new Error(`a published package was expected, found ${name}`);
    found.tags = tags;
  }
}

/**
 * One version as it is published.
 * @param {string} name
 * @param {string} version
 * @param {{ manifest?: Record<string, unknown>, size?: number, tarballPath?: string | undefined }} [options] `manifest`: more
 *   of it; `size`: of something that does not compress, in characters
 * @returns {FixtureVersion}
 */
export function fixtureVersion(name, version, { manifest: more = {}, size = 1500, tarballPath } = {}) {
  const base = name.slice(name.indexOf('/') + 1);
  const manifest = { name, version, license: 'MIT', main: 'index.js', description: `Fixture ${name}`, ...more };
  const bytes = tarball({
    'package/package.json': { body: `${JSON.stringify(manifest, undefined, 2)}\n` },
    'package/index.js': { body: `module.exports = ${JSON.stringify(filler(`${name}@${version}`, size))};\n` },
    'package/bin.js': { body: `#!/usr/bin/env node\nconsole.log('ran ${name}@${version}');\n`, executable: true },
    'package/README.md': { body: `# ${name}\n` },
  });
  return {
    manifest,
    tarballPath: tarballPath ?? `${name}/-/${base}-${version}.tgz`,
    tarball: () => bytes,
    integrity: sri(bytes),
    shasum: createHash('sha1').update(bytes).digest('hex'),
  };
}

/** @param {Buffer} bytes */
export function sri(bytes) {
  return `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
}

/**
 * Text that does not compress away and is the same every time.
 * @param {string} seed
 * @param {number} size in characters
 */
function filler(seed, size) {
  let text = '';
  for (let round = 0; text.length < size; round += 1) {
    text += createHash('sha512').update(`${seed} ${round}`).digest('base64');
  }
  return text.slice(0, size);
}

/** @param {number} index */
function pad(index) {
  return String(index).padStart(2, '0');
}
