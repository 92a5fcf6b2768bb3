/**
 * Passes the body of one URL on to everybody who asks, and does nothing else: the least that a program of Node needs for that.
 *
 * node relay.mjs <port> <url>
 */
import { Agent, createServer, get } from 'node:http';

const [, , port, url] = process.argv;
const agent = new Agent({ keepAlive: true });

createServer((request, response) => {
  get(url, { agent }, (reply) => {
    response.writeHead(reply.statusCode, { 'content-length': reply.headers['content-length'] });
    reply.pipe(response);
  }).on('error', () => response.destroy());
}).listen(Number(port), '127.0.0.1');
