import { createHash } from 'node:crypto';
import { chartArchive } from '@entrepot/fixtures/helm-charts';
import { Origin } from '@entrepot/fixtures/origin';

/** @import { UpstreamChart } from '@entrepot/fixtures/helm-charts' */

/** Every form of a URL that indexes have. */
const FORMS = /** @type {const} */ ([
  { name: 'beside', urls: ['beside-1.0.0.tgz'], path: '/stable/beside-1.0.0.tgz' },
  { name: 'below', urls: ['charts/below-1.0.0.tgz'], path: '/stable/charts/below-1.0.0.tgz' },
  { name: 'above', urls: ['../above-1.0.0.tgz'], path: '/above-1.0.0.tgz' },
  { name: 'rooted', urls: ['/files/rooted-1.0.0.tgz'], path: '/files/rooted-1.0.0.tgz' },
  { name: 'absolute', urls: ['HERE/files/absolute-1.0.0.tgz'], path: '/files/absolute-1.0.0.tgz' },
  { name: 'elsewhere', urls: ['ELSEWHERE/dl/elsewhere-1.0.0.tgz'], path: '/dl/elsewhere-1.0.0.tgz', host: 'elsewhere' },
  {
    name: 'mirrored',
    urls: ['HERE/gone/mirrored-1.0.0.tgz', 'ELSEWHERE/mirrored-1.0.0.tgz'],
    path: '/mirrored-1.0.0.tgz',
    host: 'elsewhere',
  },
  { name: 'renamed', urls: ['download/archive-of-a-release.tgz'], path: '/stable/download/archive-of-a-release.tgz' },
  {
    name: 'queried',
    urls: ['dl/queried-1.0.0.tgz?token=a%2Bb&x=1'],
    path: '/stable/dl/queried-1.0.0.tgz?token=a%2Bb&x=1',
  },
  {
    name: 'built',
    version: '1.0.0+build.5',
    urls: ['built-1.0.0+build.5.tgz'],
    path: '/stable/built-1.0.0+build.5.tgz',
  },
  {
    name: 'escaped',
    version: '1.0.0+build.6',
    urls: ['escaped-1.0.0%2Bbuild.6.tgz'],
    path: '/stable/escaped-1.0.0%2Bbuild.6.tgz',
  },
]);

/** A Helm repository as a web server has it, and a second host that some of its charts are on. */
export class HelmUpstream {
  /** @type {UpstreamChart[]} */
  charts;
  /** @type {Map<string, string>} */
  #provenance = new Map();
  #changed = 0;
  here = new Origin((request, response) => this.#answer('here', request.url ?? '', response));
  elsewhere = new Origin((request, response) => this.#answer('elsewhere', request.url ?? '', response));

  constructor() {
    this.charts = FORMS.map((form) => {
      const {
        name,
        urls,
        path,
        version = '1.0.0',
        host = 'here',
      } = /** @type {UpstreamChart} */ (/** @type {unknown} */ (form));
      return { name, version, urls, path, host, archive: chartArchive({ name, version }) };
    });
  }

  async start() {
    await this.here.start();
    await this.elsewhere.start();
    return this;
  }

  async stop() {
    await this.here.stop();
    await this.elsewhere.stop();
  }

  /** The URL for proxies. */
  get url() {
    return `${this.here.url}/stable`;
  }

  /** Another chart, beside the index, and its provenance. @param {string} name @param {string} version @param {Buffer} archive @param {Buffer} [provenance] */
  add(name, version, archive, provenance) {
    const path = `/stable/${name}-${version}.tgz`;
    this.charts.push({ name, version, archive, urls: [`${name}-${version}.tgz`], path, host: 'here' });
    if (provenance !== undefined) this.#provenance.set(`${path}.prov`, provenance.toString());
    this.#changed += 1;
  }

  /** @param {'here' | 'elsewhere'} host @param {string} url @param {import('node:http').ServerResponse} response */
  #answer(host, url, response) {
    if (host === 'here' && url === '/stable/index.yaml') {
      response.writeHead(200, { 'content-type': 'text/yaml', etag: `"${this.#changed}"` }).end(this.#index());
      return;
    }
    const provenance = host === 'here' ? this.#provenance.get(url) : undefined;
    const chart = this.charts.find((candidate) => candidate.host === host && candidate.path === url);
    const body = provenance ?? chart?.archive;
    if (body === undefined) response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Not Found</h1>');
    else response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(body);
  }

  #index() {
    const lines = ['apiVersion: v1', 'entries:'];
    let previous = '';
    for (const chart of this.charts.toSorted((one, other) =>
      one.name < other.name ? -1 : Number(one.name > other.name),
    )) {
      const { name, version, archive, urls, created = '2024-01-01T00:00:00Z' } = chart;
      const sum = createHash('sha256').update(archive).digest('hex');
      if (name !== previous) lines.push(`  ${name}:`);
      previous = name;
      lines.push('  - apiVersion: v2', `    name: ${name}`, `    version: ${JSON.stringify(version)}`);
      lines.push(`    created: '${created}'`, `    digest: ${sum}`, '    urls:');
      for (const url of urls) {
        const place = url.replace('ELSEWHERE', this.elsewhere.url).replace('HERE', this.here.url);
        lines.push(`    - ${JSON.stringify(place)}`);
      }
    }
    lines.push("generated: '2024-01-01T00:00:00Z'", '');
    return lines.join('\n');
  }
}
