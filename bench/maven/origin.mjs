import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nginxProgram } from '../lib/install.mjs';
import { freePort, start, waitUntilReady } from '../lib/processes.mjs';
import { launchOrigin as launchDistant } from '../servers/origin.mjs';
import { writeRepository } from './fixtures.mjs';

/** Files that a client fetches: a POM and a jar of each artifact. */
const FILES = 1500;

/** The round trip to a public repository, in milliseconds. */
const ROUND_TRIP = 20;
const DISTANT = fileURLToPath(new URL('distant.mjs', import.meta.url));

/**
 * The upstreams of the suite for Maven, over one folder. nginx on loopback: `origin` has sums in sidecars alone, `withSums` says them in headers as
 * well, as large public repositories do. `distant` does so, too, and is a round trip away.
 */
export async function launchOrigin(temporary) {
  const program = await nginxProgram();
  if (program.missing) throw new Error(program.missing);
  const folder = join(temporary, 'maven-upstream');
  await mkdir(folder, { recursive: true });
  const sums = await writeRepository(join(folder, 'repository'), FILES / 2);
  const [plain, withSums] = [await freePort(), await freePort()];
  const file = join(folder, 'nginx.conf');
  await writeFile(file, configuration({ folder, sums, plain, withSums }));
  const since = performance.now();
  const started = start(program.path, ['-c', file, '-e', 'stderr', '-p', folder]);
  const [origin, other] = [plain, withSums].map((port) => `http://127.0.0.1:${port}`);
  await waitUntilReady(started, `${origin}/-/ping`, since);
  const distant = await launchDistant(DISTANT, [join(folder, 'repository'), String(ROUND_TRIP)]);
  return {
    started,
    origin,
    withSums: other,
    distant,
    files: FILES,
    /** Counts requests to all, and those of them for sums. */
    async traffic() {
      const lines = (await readFile(join(folder, 'access.log'), 'utf8')).split('\n').slice(0, -1);
      const [all, sums] = [await distant.traffic(), await distant.traffic(isSum)];
      return { requests: lines.length + all.requests, sums: lines.filter(isSum).length + sums.requests };
    },
  };
}

function isSum(path) {
  return path.endsWith('.sha1');
}

function configuration({ folder, sums, plain, withSums }) {
  const headers = [...sums].map(([path, sum]) => `    /${path} ${sum};`).join('\n');
  const server = (port, more) => `
  server {
    listen 127.0.0.1:${port} reuseport;
    location = /-/ping { access_log off; return 200 "{}"; }
    location / { root ${folder}/repository; ${more} }
  }`;
  return `
${process.getuid() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  log_format paths '$uri';
  access_log ${folder}/access.log paths;
  sendfile on;
  keepalive_requests 100000000;
  keepalive_timeout 120s;
  default_type application/octet-stream;
  client_body_temp_path ${folder}/client;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  map_hash_max_size 8192;
  map_hash_bucket_size 256;
  map $uri $sum {
    default "";
${headers}
  }
  ${server(plain, '')}
  ${server(withSums, 'add_header X-Checksum-SHA1 $sum;')}
}
`;
}
