/** The repository of the suite for Maven as a public one is: a round trip away, with sums in headers. `node distant.mjs <folder> <round trip>` */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serveOrigin } from '../lib/origin-server.mjs';

const [, , folder, roundTrip] = process.argv;
const found = new Map(
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path.slice(folder.length), represented(readFileSync(path))]),
);
serveOrigin({ answer: (path) => found.get(path), roundTrip: Number(roundTrip) });

function represented(bytes) {
  const headers = { 'x-checksum-sha1': createHash('sha1').update(bytes).digest('hex') };
  return { bytes, mediaType: 'application/octet-stream', headers };
}
