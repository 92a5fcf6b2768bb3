import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { aptCacherNg, freeShortPort } from '@entrepot/fixtures/apt-cacher-ng';
import { provideTool } from '@entrepot/fixtures/tools';
import { start, waitUntilReady } from '../lib/processes.mjs';
import { launchEntrepot, prepare } from '../servers/entrepot.mjs';
import { nginx as nginxWithSendfile, nginxCopy as nginxWithout } from '../servers/nginx.mjs';
import { plain } from '../servers/plain.mjs';

/** Each has `archive`, the URL of the archive on it. */
export const entrepot = {
  id: 'entrepot',
  prepare,
  async launch({ upstream, folder, nodeArguments }) {
    const keyring = join(folder, 'archive.asc');
    await writeFile(keyring, upstream.keyring);
    const repository = { type: 'deb', upstream: upstream.origin, signatures: { keyrings: [keyring] } };
    const server = await launchEntrepot({
      folder,
      repositories: { debian: { ...repository, cache: { generations: { freshFor: '1h' } } } },
      nodeArguments,
    });
    return { ...server, archive: `${server.base}/debian` };
  },
};

export const nginx = plain(nginxWithSendfile);
export const nginxCopy = plain(nginxWithout);

export const acng = {
  id: 'apt-cacher-ng',
  async prepare() {
    const program = await provideTool('apt-cacher-ng');
    return program === undefined ? { missing: 'its package could not be had' } : { version: "Debian's, 3.7" };
  },
  async launch({ upstream, folder }) {
    const port = await freeShortPort();
    const { command, env } = await aptCacherNg(folder, port);
    const base = `http://127.0.0.1:${port}`;
    const since = performance.now();
    const started = start(command[0], command.slice(1), { cwd: folder, env });
    const startMilliseconds = await waitUntilReady(started, `${base}/acng-report.html`, since);
    return { id: 'apt-cacher-ng', started, port, startMilliseconds, base, archive: `${base}/${upstream.short}` };
  },
};
