import { request } from 'node:http';

/** One request with a body, on a connection of its own; `total` is milliseconds. */
export function send(method, url, { headers = {}, body = Buffer.alloc(0) } = {}) {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers: { ...headers, 'content-length': body.length }, agent: false });
    sent.on('error', reject);
    sent.on('response', (response) => {
      response.resume();
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, total: performance.now() - started }));
    });
    sent.end(body);
  });
}
