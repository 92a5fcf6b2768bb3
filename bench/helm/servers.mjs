import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { form } from '@entrepot/fixtures/multipart-form';
import { provideTool } from '@entrepot/fixtures/tools';
import { get } from '../lib/http.mjs';
import { freePort, start, waitUntilReady } from '../lib/processes.mjs';
import { launchEntrepot, prepare } from '../servers/entrepot.mjs';
import { CHARTS, everyArchive } from './fixtures.mjs';
import { send } from './send.mjs';

/** Archives in one form while a repository is filled; a form may have 100 parts. */
const AT_ONCE = 65;

/** Each has `base`, a repository with the charts of `size`, and `api`, where it is pushed to. */
export const entrepot = {
  id: 'entrepot',
  prepare,
  async launch({ folder, size = 'large' }) {
    const cache = { index: { freshFor: '1h' } };
    const server = await launchEntrepot({
      folder,
      repositories: {
        charts: { type: 'helm', kind: 'hosted', maxUploadSize: '64MiB', access: { anonymous: 'write' } },
      },
    });
    const base = `${server.base}/charts`;
    let parts = [];
    const flush = async () => {
      const { headers, body } = form(...parts);
      parts = [];
      const { status } = await send('POST', `${base}/api/charts`, { headers, body });
      if (status !== 201) throw new Error(`entrepot: a form was answered with ${status}`);
    };
    for (const { bytes } of everyArchive(CHARTS[size])) {
      parts.push({ field: 'chart', file: 'chart.tgz', body: bytes });
      if (parts.length === AT_ONCE) await flush();
    }
    if (parts.length > 0) await flush();
    return {
      ...server,
      base,
      api: `${base}/api/charts`,
      /** A second Entrepot that is a proxy of this one, with its index in both forms. */
      proxies: (other) => {
        const repository = (index) => ({ type: 'helm', upstream: base, index, cache });
        return launchEntrepot({ folder: other, repositories: { yaml: repository('yaml'), json: repository('json') } });
      },
    };
  },
};

let chartMuseumPath;

export const chartmuseum = {
  id: 'chartmuseum',
  async prepare() {
    chartMuseumPath = await provideTool('chartmuseum');
    return chartMuseumPath === undefined
      ? { missing: 'chartmuseum is not installed (acceptance/fixtures/tools.mjs says where it is looked for)' }
      : { version: '0.16.5, local storage' };
  },
  async launch({ folder, size = 'large' }) {
    const storage = join(folder, 'storage');
    await mkdir(storage, { recursive: true });
    for (const { file, bytes } of everyArchive(CHARTS[size])) await writeFile(join(storage, file), bytes);
    const port = await freePort();
    const base = `http://127.0.0.1:${port}`;
    const since = performance.now();
    const argv = [`--port=${port}`, '--listen-host=127.0.0.1', '--storage=local', `--storage-local-rootdir=${storage}`];
    const started = start(chartMuseumPath, argv, { cwd: folder, env: {} });
    await waitUntilReady(started, `${base}/health`, since);
    // It has read every archive when it answers with an index.
    await get(`${base}/index.yaml`, { timeout: 300_000 });
    const startMilliseconds = performance.now() - since;
    return { id: 'chartmuseum', started, port, startMilliseconds, base, api: `${base}/api/charts` };
  },
};
