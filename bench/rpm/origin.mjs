/** The upstream of the servers in the suite for RPM packages: a repository that createrepo_c made. */
import { withScratch } from '@entrepot/fixtures/scratch';
import { serveOrigin } from '../lib/origin-server.mjs';
import { benchArchive } from './fixtures.mjs';

const archive = await withScratch('bench-rpm', (folder) => benchArchive(folder));
const found = new Map([...archive.files].map(([path, bytes]) => [`/${path}`, represented(bytes)]));
serveOrigin({ answer: (path) => found.get(path), roundTrip: Number(process.argv[2]) });

function represented(bytes) {
  const lastModified = new Date(Date.now() - 3_600_000).toUTCString();
  return { bytes, mediaType: 'application/octet-stream', headers: { 'last-modified': lastModified } };
}
