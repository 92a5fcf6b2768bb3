import { join } from 'node:path';
import { fixtureCrate } from '@entrepot/fixtures/cargo-crates';
import { GoDatabase, goModule, proxyAnswer } from '@entrepot/fixtures/go-database';
import { FixtureApplication } from '@entrepot/fixtures/npm-application';
import { imagesOf } from '@entrepot/fixtures/oci-images';
import { Origin } from '@entrepot/fixtures/origin';
import { CargoIndex } from './cargo-index.mjs';
import { HelmUpstream } from './helm-upstream.mjs';
import { FixtureRegistry } from './npm-registry.mjs';
import { UpstreamRegistry } from './oci-registry.mjs';
import { PythonIndex } from './python-index.mjs';

/** The names of the repositories that the server has beside those that it finds in settings of the machine, by type. */
export const REPOSITORIES = { oci: 'hub', helm: 'charts', cargo: 'crates', files: 'releases' };

/** An upstream of every kind on loopback, each with two of everything: one for before the restart, and one for after it. */
export class FirstHourUpstreams {
  npm = new FixtureRegistry(new FixtureApplication());
  python = new PythonIndex();
  #modules = [1, 2].map((time) =>
    goModule({
      path: `example.test/m${time}`,
      version: 'v1.0.0',
      files: { 'm.go': 'package m\n' },
      database: new GoDatabase(),
    }),
  );
  go = new Origin((request, response) => {
    const answer = proxyAnswer(this.#modules, new GoDatabase(), (request.url ?? '').slice(1));
    if (answer === undefined) return void response.writeHead(404).end('not found');
    response.writeHead(200, { 'content-type': answer.mediaType }).end(answer.body);
  });
  charts = new HelmUpstream();
  crates = new CargoIndex();
  files = new Origin((request, response) => {
    if (!/^\/path\/to\/file\d?$/.test(request.url ?? '')) return void response.writeHead(404).end('not found');
    response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(`this is ${request.url}`);
  });
  /** Absent where this machine has no registry program. @type {UpstreamRegistry | undefined} */
  images;

  constructor() {
    this.crates.crates = [1, 2].map((time) => fixtureCrate({ name: `leaf${time}`, version: '1.0.0' }));
  }

  /** @param {string} folder for what the registry of images keeps */
  async start(folder) {
    await Promise.all(this.#all.map((upstream) => upstream.start()));
    const binary = await UpstreamRegistry.program();
    if (binary === undefined) return;
    this.images = new UpstreamRegistry(join(folder, 'registry'), { binary, tokens: false });
    await this.images.start();
    await this.images.preload(imagesOf('library/alpine', ['3', '32']));
  }

  get #all() {
    return [this.npm, this.python, this.go, this.charts, this.crates, this.files];
  }

  async stop() {
    await Promise.all([...this.#all.map((upstream) => upstream.stop()), this.images?.stop()]);
  }

  /** The repositories of `REPOSITORIES`, as variables of the server's environment. @returns {Record<string, string>} */
  get settings() {
    const urls = { oci: this.images?.url, helm: this.charts.url, cargo: this.crates.url, files: this.files.url };
    /** @type {Record<string, string>} */
    const settings = {};
    for (const [type, name] of Object.entries(REPOSITORIES)) {
      const url = urls[/** @type {keyof typeof urls} */ (type)];
      if (url === undefined) continue;
      settings[`ENTREPOT_REPOSITORIES_${name.toUpperCase()}_TYPE`] = type;
      settings[`ENTREPOT_REPOSITORIES_${name.toUpperCase()}_UPSTREAM`] = url;
    }
    return settings;
  }
}
