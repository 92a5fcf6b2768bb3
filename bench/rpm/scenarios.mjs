import { join } from 'node:path';
import { rpmClients } from '@entrepot/fixtures/rpm-clients';
import { updateBytes } from '../deb/update-bytes.mjs';
import { sha256 } from '../lib/fixtures.mjs';
import { runRates } from '../lib/rates.mjs';
import { packagePath } from './fixtures.mjs';

/** A package that is kept, under load. */
function rate(name, { title, bars }) {
  return {
    id: `hit-${name}`,
    title: `Package, ${title}, kept, 16 connections`,
    async run(bench) {
      const path = packagePath(name);
      return runRates(bench, {
        servers: ['entrepot', 'nginx', 'nginx-copy'],
        async urlOf(server) {
          // Packages are found by an index that was asked for.
          await fetch(`${server.archive}/repodata/repomd.xml`).then((answer) => answer.arrayBuffer());
          return `${server.archive}/${path}`;
        },
        expected: async () => sha256((await bench.origin.prepare(`/${path}`)).body),
        digest: sha256,
        connections: 16,
        seconds: 3,
        field: 'requestsPerSecond',
        bars,
      });
    },
  };
}

/** @returns the time that it took, in milliseconds */
async function updateOnce(folder, archive) {
  const { dnf } = await rpmClients();
  if (dnf === undefined) throw new Error('a machine with dnf was expected');
  const client = await dnf(join(folder, 'root')).open(archive);
  const { code, stderr, milliseconds } = await client.update();
  if (code !== 0) throw new Error(`dnf makecache on ${archive}: ${stderr}`);
  return milliseconds;
}

export const scenarios = [
  rate('small', { title: '20 KB', bars: [{ against: 'nginx', least: 0.4 }] }),
  rate('large', { title: '1 MB', bars: [{ against: 'nginx', least: 0.7 }] }),
  updateBytes({ title: 'dnf makecache of one client: bytes from the upstream', peers: ['entrepot'], updateOnce }),
];
