import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nginxProgram } from '../lib/install.mjs';
import { freePort, start, waitUntilReady } from '../lib/processes.mjs';

let program;

async function prepare() {
  program ??= await nginxProgram();
  return program.missing ? program : { version: program.version };
}

/** `user` only means something to root, and nginx warns about it otherwise. */
function configuration({ origin, folder, port, workers, sendfile }) {
  const cached = `
      proxy_cache bench;
      proxy_cache_valid 200 60m;
      proxy_cache_lock on;
      proxy_cache_lock_timeout 60s;
      proxy_cache_lock_age 60s;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $proxy_host;
      proxy_set_header Accept-Encoding $http_accept_encoding;`;
  return `
${process.getuid() === 0 ? 'user root;' : ''}
daemon off;
worker_processes ${workers};
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  ${sendfile ? 'sendfile on;' : 'sendfile off; output_buffers 2 512k;'}
  tcp_nopush off;
  keepalive_requests 100000000;
  keepalive_timeout 120s;
  default_type application/octet-stream;
  client_body_temp_path ${folder}/client;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=bench:20m max_size=4g inactive=60m;
  upstream origin { server ${new URL(origin).host}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} reuseport;
    location = /-/ping { return 200 "{}"; }
    location / { proxy_pass http://origin; ${cached} }
  }
}
`;
}

/**
 * nginx with `proxy_cache`. `nginx`: one worker, as one Node process is one thread; the bars use it. `nginx-auto`:
 * a worker a core. `nginx-copy`: one worker, without sendfile, which is faster on loopback (shown for large files).
 */
function variant(id, workers, sendfile) {
  return {
    id,
    prepare,
    async launch({ origin, folder }) {
      const port = await freePort();
      const file = join(folder, 'nginx.conf');
      await mkdir(join(folder, 'cache'), { recursive: true });
      await writeFile(file, configuration({ origin, folder, port, workers, sendfile }));
      const since = performance.now();
      const started = start(program.path, ['-c', file, '-e', 'stderr', '-p', folder]);
      const base = `http://127.0.0.1:${port}`;
      const startMilliseconds = await waitUntilReady(started, `${base}/-/ping`, since);
      return {
        id,
        started,
        port,
        startMilliseconds,
        npm: `${base}/npm`,
        files: `${base}/files`,
        ping: `${base}/-/ping`,
      };
    },
  };
}

export const nginx = variant('nginx', '1', true);
export const nginxAuto = variant('nginx-auto', 'auto', true);
export const nginxCopy = variant('nginx-copy', '1', false);
