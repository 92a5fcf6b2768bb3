import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { digestOf, noise, TYPES } from '@entrepot/fixtures/oci-images';
import { tarball } from '@entrepot/fixtures/tar';
import { freePort } from './entrepot.mjs';

/** @import { ChildProcess } from 'node:child_process' */

const FILES = 10;
/** More than an HTTP client reads ahead, so that the end of a connection finds some of a body unread. */
const SIZE = 512 * 1024;

/**
 * One thing that a client asks for, and the bytes that it must get (a packument is rewritten: only its status counts).
 * @typedef {{ path: string, body?: Buffer }} Wanted
 */

/**
 * Writes a file server, an npm registry and a registry of images as plain files.
 * @param {string} root
 * @param {number} requests how many requests each of them is asked, about
 * @returns {Promise<Record<'files' | 'npm' | 'oci', Wanted[]>>} by the name of the repository, below its mount
 */
export async function writeSite(root, requests) {
  for (const folder of ['files', 'npm', 'manifests', 'blobs']) await mkdir(join(root, folder), { recursive: true });
  const bodies = Array.from({ length: FILES }, (_, index) => noise(`file ${index}`, SIZE));
  for (const [index, body] of bodies.entries()) await writeFile(join(root, 'files', `x${index}`), body);
  const files = Array.from({ length: requests }, (_, index) => {
    const body = bodies[index % FILES];
    return { path: `x${index}`, ...(body !== undefined && { body }) };
  });

  const archive = tarball({
    'package/package.json': { body: '{}' },
    'package/noise': { body: noise('package', SIZE) },
  });
  await writeFile(join(root, 'npm', 'archive.tgz'), archive);
  const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`;
  /** @type {Wanted[]} */
  const npm = [];
  for (let index = 0; index < requests / 2; index += 1) {
    const name = `p${index}`;
    const file = `${name}/-/${name}-1.0.0.tgz`;
    const version = { name, version: '1.0.0', dist: { integrity, tarball: `http://127.0.0.1/npm/${file}` } };
    const packument = { name, 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } };
    await writeFile(join(root, 'npm', `${name}.json`), JSON.stringify(packument));
    npm.push({ path: name }, { path: file, body: archive });
  }

  /** @type {Wanted[]} */
  const oci = [];
  for (let index = 0; index < requests / 4; index += 1) {
    const blobs = [Buffer.from(JSON.stringify({ index })), noise(`layer ${index}`, 64 * 1024)];
    for (const blob of blobs) await writeFile(join(root, 'blobs', digestOf(blob).slice('sha256:'.length)), blob);
    const [config, layer] = blobs.map((blob, place) => ({
      mediaType: place === 0 ? TYPES.config : TYPES.layer,
      digest: digestOf(blob),
      size: blob.length,
    }));
    const manifest = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: TYPES.manifest, config, layers: [layer] }),
    );
    await writeFile(join(root, 'manifests', `${index}`), manifest);
    oci.push({ path: `img${index}/manifests/1`, body: manifest });
    for (const body of blobs) oci.push({ path: `img${index}/blobs/${digestOf(body)}`, body });
  }
  return { files, npm, oci };
}

/** Where a path of the site lies, as a pattern and what replaces it; and its media type. */
const PLACES = [
  ['^/files/x\\d*(\\d)$', 'files/x$1', 'application/octet-stream'],
  ['^/npm/(p\\d+)$', 'npm/$1.json', 'application/json'],
  ['^/npm/p\\d+/-/.*$', 'npm/archive.tgz', 'application/octet-stream'],
  ['^/v2/img(\\d+)/manifests/.*$', 'manifests/$1', TYPES.manifest],
  ['^/v2/img\\d+/blobs/sha256:(.*)$', 'blobs/$1', 'application/octet-stream'],
];

/**
 * Serves the site with nginx.
 * @param {string} folder for its configuration
 * @param {string} root
 * @param {string} nginx the program
 * @param {string} directive how long it keeps connections
 */
export async function serveWithNginx(folder, root, nginx, directive) {
  const port = await freePort();
  const locations = PLACES.map(([pattern, place, type]) => {
    return `location ~ "${pattern}" { default_type ${type}; types {} alias ${root}/${place}; }`;
  });
  const file = join(folder, 'nginx.conf');
  await writeFile(
    file,
    // It reads as whoever wrote the site.
    `${process.getuid?.() === 0 ? 'user root; ' : ''}daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx.error;
events { worker_connections 1024; }
http { access_log off; ${directive}; server { listen 127.0.0.1:${port}; ${locations.join('\n')} } }
`,
  );
  return started(spawn(nginx, ['-c', file, '-e', join(folder, 'nginx.error')], { stdio: 'ignore' }), port);
}

/**
 * Serves the site with Python's `http.server`, which speaks HTTP/1.0 and closes the connection behind each reply.
 * @param {string} folder
 * @param {string} root
 */
export async function serveWithPython(folder, root) {
  const port = await freePort();
  const file = join(folder, 'site.py');
  await writeFile(
    file,
    `import http.server, json, re, sys
PLACES = [(re.compile(pattern), place.replace('$1', '\\\\1'), kind) for pattern, place, kind in json.loads(sys.argv[1])]
class Site(http.server.SimpleHTTPRequestHandler):
    def find(self):
        for pattern, place, kind in PLACES:
            match = pattern.match(self.path)
            if match: return match.expand(place), kind
        return 'none', 'text/plain'
    def translate_path(self, path): return sys.argv[2] + '/' + self.find()[0]
    def guess_type(self, path): return self.find()[1]
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer): request_queue_size = 128
Server(('127.0.0.1', ${port}), Site).serve_forever()
`,
  );
  return started(spawn('python3', [file, JSON.stringify(PLACES), root], { stdio: 'ignore' }), port);
}

/**
 * @param {ChildProcess} child
 * @param {number} port
 * @returns {Promise<{ url: string, stop(): Promise<void> }>} once it answers
 */
async function started(child, port) {
  let failure = '';
  child.once('error', (error) => (failure = error.message));
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 500; attempt += 1) {
    if (failure !== '' || child.exitCode !== null) break;
    const answer = await get(`${url}/files/x0`).catch(() => undefined);
    if (answer?.status === 200) {
      return {
        url,
        stop: async () => {
          if (child.exitCode !== null || child.signalCode !== null) return;
          const exited = once(child, 'exit');
          child.kill('SIGTERM');
          await exited;
        },
      };
    }
    await delay(20);
  }
  child.kill('SIGKILL');
  throw new Error(`${child.spawnfile} serves nothing: ${failure || `exit code ${child.exitCode}`}`);
}
