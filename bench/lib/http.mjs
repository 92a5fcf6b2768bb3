import { Agent, request } from 'node:http';
import { gunzipSync } from 'node:zlib';

/**
 * One GET without any conversion. Times are milliseconds from the start of the request: `firstByte` to the first body
 * byte, `total` to the last.
 */
export function get(url, { headers = {}, agent, sink, timeout = 60_000 } = {}) {
  let resolve;
  let reject;
  const promise = new Promise((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  const started = performance.now();
  const call = request(url, { headers, agent, timeout }, (response) => {
    const chunks = [];
    let firstByte;
    response.on('data', (chunk) => {
      firstByte ??= performance.now() - started;
      if (sink) sink(chunk);
      else chunks.push(chunk);
    });
    response.on('error', reject);
    response.on('end', () => {
      const total = performance.now() - started;
      const body = Buffer.concat(chunks);
      resolve({ status: response.statusCode, headers: response.headers, body, firstByte: firstByte ?? total, total });
    });
  });
  call.on('timeout', () => call.destroy(new Error(`${url}: no answer within ${timeout} ms`)));
  call.on('error', reject);
  call.end();
  return promise;
}

/** The body without its content coding. */
export function decoded(answer) {
  return answer.headers['content-encoding'] === 'gzip' ? gunzipSync(answer.body) : answer.body;
}

/** An agent that keeps its connections. */
export function keepAliveAgent(connections = 1) {
  return new Agent({ keepAlive: true, maxSockets: connections });
}
