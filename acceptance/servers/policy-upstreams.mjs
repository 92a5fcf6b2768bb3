import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GoDatabase, proxyAnswer } from '@entrepot/fixtures/go-database';
import { Origin } from '@entrepot/fixtures/origin';
import {
  crates,
  debArchive,
  goModules,
  helmCharts,
  imageSet,
  mavenFiles,
  npmPackages,
  pacmanFiles,
  pythonProjects,
  rpmArchive,
} from '@entrepot/fixtures/policy-packages';
import { PacmanArchive } from '@entrepot/fixtures/pacman-archive';
import { RpmArchive } from '@entrepot/fixtures/rpm-archive';
import { Apt } from '@entrepot/fixtures/apt';
import { CargoIndex } from './cargo-index.mjs';
import { DebMirror } from './deb-mirror.mjs';
import { HelmUpstream } from './helm-upstream.mjs';
import { FixtureRegistry } from './npm-registry.mjs';
import { UpstreamRegistry } from './oci-registry.mjs';
import { PythonIndex } from './python-index.mjs';

/** @import { DebArchive } from '@entrepot/fixtures/deb-archive' */

/** Upstreams of every format, on loopback. */
export class PolicyUpstreams {
  #folder;
  npm = new FixtureRegistry({ packages: npmPackages() });
  python = new PythonIndex();
  goDatabase = new GoDatabase();
  #modules = goModules(this.goDatabase);
  go = new Origin((request, response) => {
    const answer = proxyAnswer(this.#modules, this.goDatabase, (request.url ?? '').slice(1));
    if (answer === undefined) return void response.writeHead(404).end('not found');
    response.writeHead(200, { 'content-type': answer.mediaType }).end(answer.body);
  });
  helm = new HelmUpstream();
  cargo = new CargoIndex();
  #maven = mavenFiles();
  maven = new Origin((request, response) => {
    const [, path = '', algorithm] = /^(.*?)(?:\.(md5|sha1))?$/.exec(request.url ?? '') ?? [];
    const found = this.#maven.get(path);
    if (found === undefined) return void response.writeHead(404).end();
    const body = algorithm === undefined ? found.body : createHash(algorithm).update(found.body).digest('hex');
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': body.length,
      'last-modified': found.lastModified.toUTCString(),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
  files = new Origin((request, response) => {
    const isThere = /^\/tools\/(good|bad)\.bin$/.test(request.url ?? '');
    response.writeHead(isThere ? 200 : 404, { 'content-type': 'application/octet-stream' });
    response.end(request.method === 'HEAD' || !isThere ? undefined : `the file ${request.url}`);
  });
  /** Absent: this machine has no apt. @type {{ archive: DebArchive, mirror: DebMirror, keyring: string } | undefined} */
  deb;
  /** Absent: this machine does not make repositories of RPM packages. @type {{ archive: RpmArchive, mirror: DebMirror } | undefined} */
  rpm;
  /** Absent: this machine does not make repositories of pacman. @type {{ files: Map<string, Buffer>, mirror: DebMirror } | undefined} */
  pacman;
  image = imageSet();
  /** Absent: this machine has no registry program. @type {UpstreamRegistry | undefined} */
  oci;

  /** @param {string} folder empty */
  constructor(folder) {
    this.#folder = folder;
    this.python.projects = pythonProjects();
    this.helm.charts = helmCharts();
    this.cargo.crates = crates();
  }

  get #origins() {
    return [this.npm, this.python, this.go, this.helm, this.cargo, this.maven, this.files];
  }

  async start() {
    for (const origin of this.#origins) await origin.start();
    if (await Apt.isThere()) {
      const archive = await debArchive();
      const keyring = join(this.#folder, 'archive.asc');
      await mkdir(this.#folder, { recursive: true });
      await writeFile(keyring, archive.keyring);
      this.deb = { archive, mirror: await new DebMirror(() => archive.files).start(), keyring };
    }
    if (await RpmArchive.isThere()) {
      const archive = await rpmArchive(join(this.#folder, 'rpm'));
      this.rpm = { archive, mirror: await new DebMirror(() => archive.files).start() };
    }
    if (await PacmanArchive.isThere()) {
      const files = await pacmanFiles(join(this.#folder, 'pacman'));
      this.pacman = { files, mirror: await new DebMirror(() => files).start() };
    }
    const binary = await UpstreamRegistry.program();
    if (binary === undefined) return this;
    this.oci = new UpstreamRegistry(this.#folder, { binary, tokens: false });
    await this.oci.start();
    await this.oci.preload(this.image);
    return this;
  }

  async stop() {
    for (const origin of this.#origins) await origin.stop();
    for (const upstream of [this.deb, this.rpm, this.pacman]) await upstream?.mirror.stop();
    await this.oci?.stop();
  }

  /** The `repositories` of a configuration. */
  repositories() {
    return {
      npm: { type: 'npm', upstream: this.npm.url },
      pypi: this.python.repository(),
      go: { type: 'go', upstream: this.go.url, sumdb: this.goDatabase.verifierKey, unverified: '', private: '' },
      helm: { type: 'helm', upstream: this.helm.url },
      cargo: { type: 'cargo', upstream: this.cargo.url },
      maven: { type: 'maven', upstream: this.maven.url },
      files: { type: 'files', upstream: this.files.url, rules: [{ match: '**', policy: 'immutable' }] },
      ...(this.deb !== undefined && {
        debian: { type: 'deb', upstream: this.deb.mirror.url, signatures: { keyrings: [this.deb.keyring] } },
      }),
      ...(this.rpm !== undefined && {
        rocky: { type: 'rpm', upstream: this.rpm.mirror.url, signatures: { mode: 'off' } },
      }),
      ...(this.pacman !== undefined && {
        arch: { type: 'pacman', upstream: this.pacman.mirror.url, signatures: { mode: 'off' } },
      }),
      ...(this.oci !== undefined && { oci: { type: 'oci', upstream: this.oci.url } }),
    };
  }
}
