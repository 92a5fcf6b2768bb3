/** The upstream of the servers in the suite for Debian packages: a signed archive. A second port has four digits. */
import { createServer } from 'node:http';
import { freeShortPort } from '@entrepot/fixtures/apt-cacher-ng';
import { serveOrigin } from '../lib/origin-server.mjs';
import { benchArchive } from './fixtures.mjs';

const archive = await benchArchive();
const shortPort = await freeShortPort();
const found = new Map([...archive.files].map(([path, bytes]) => [`/${path}`, represented(bytes)]));
const facts = { keyring: archive.keyring, short: `127.0.0.1:${shortPort}` };
const listener = serveOrigin({ answer: (path) => found.get(path), roundTrip: Number(process.argv[2]), facts });
createServer(listener).listen(shortPort, '127.0.0.1');

function represented(bytes) {
  const lastModified = new Date(Date.now() - 3_600_000).toUTCString();
  return { bytes, mediaType: 'application/octet-stream', headers: { 'last-modified': lastModified } };
}
