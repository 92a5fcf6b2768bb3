import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { BlockList, connect, isIP, type AddressInfo, type Socket } from 'node:net';

// An import of `node:http` would load Node's own fetch as well, 15 MiB in an idle server.
const { createServer, request: requestHttp } = process.getBuiltinModule('node:http');

/** Link-local networks, where clouds have their metadata, and what is no host: never led to (RFC 3927, RFC 4291 §2.5.6). */
const NETWORKS = ['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4', '::/128', 'fe80::/10', 'ff00::/8'];
/** 169.254.0.0/16 behind NAT64 (RFC 6052), and the metadata of a cloud whose address is none of link-local ones. */
const METADATA = ['64:ff9b::a9fe:0/112', 'fd00:ec2::254/128'];
const REFUSED = new BlockList();
for (const network of [...NETWORKS, ...METADATA]) {
  const [address = '', prefix] = network.split('/');
  REFUSED.addSubnet(address, Number(prefix), familyOf(address));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6';
}

const CHALLENGE = 'Basic realm="Entrepot"';
const CONNECT_TIMEOUT = 30_000;
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'];

/** Whether programs reach the network by a proxy of the environment: then it resolves names, and decides where they lead. */
export function hasProxy(surroundings: NodeJS.ProcessEnv): boolean {
  return PROXIES.some((name) => (surroundings[name] ?? '') !== '');
}

/**
 * A proxy for one run of `go` and git, which resolve names and follow redirects by themselves: connects to the very addresses that it has
 * looked at, and to no link-local one. Only who has its URL may use it.
 */
export class GuardProxy {
  readonly #server: Server;
  readonly #secret = randomBytes(16).toString('hex');
  readonly #sockets = new Set<Socket>();
  /** The first host that was refused. */
  refused: string | undefined;

  constructor() {
    this.#server = createServer((request, response) => void this.#forward(request, response));
    this.#server.on('connect', (request: IncomingMessage, client: Socket) => void this.#tunnel(request, client));
    this.#server.on('connection', (socket) => this.#keep(socket));
  }

  /** @returns the variables by which programs find it */
  async open(): Promise<Readonly<Record<string, string>>> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const url = `http://entrepot:${this.#secret}@127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return { HTTP_PROXY: url, HTTPS_PROXY: url, http_proxy: url, https_proxy: url };
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #tunnel(request: IncomingMessage, client: Socket): Promise<void> {
    client.on('error', () => client.destroy());
    const refuse = (status: string): void =>
      void client.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    if (!this.#isKnown(request)) return refuse(`407 Proxy Authentication Required\r\nProxy-Authenticate: ${CHALLENGE}`);
    try {
      const { hostname, port } = new URL(`https://${request.url}`);
      const host = await this.#addressOf(hostname);
      const server = connect({ host, port: Number(port || 443), timeout: CONNECT_TIMEOUT });
      this.#keep(server);
      await once(server, 'connect');
      server.setTimeout(0);
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      server.on('error', () => client.destroy());
      server.on('close', () => client.destroy());
      client.on('close', () => server.destroy());
      server.pipe(client).pipe(server);
    } catch (error) {
      refuse(error instanceof Refused ? '403 Forbidden' : '502 Bad Gateway');
    }
  }

  /** Plain http, which is asked of proxies with the whole URL (RFC 9112 §3.2.2). */
  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#isKnown(request)) {
      response.writeHead(407, { 'Proxy-Authenticate': CHALLENGE }).end();
      return;
    }
    try {
      const url = new URL(request.url ?? '');
      const { 'proxy-authorization': _secret, 'proxy-connection': _connection, ...headers } = request.headers;
      const host = await this.#addressOf(url.hostname);
      const sent = requestHttp({
        host,
        port: url.port === '' ? 80 : Number(url.port),
        method: request.method,
        path: url.pathname + url.search,
        headers: { ...headers, host: url.host },
        agent: false,
        timeout: CONNECT_TIMEOUT,
      });
      sent.on('socket', (socket) => this.#keep(socket));
      sent.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      sent.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
      request.pipe(sent);
    } catch (error) {
      response.writeHead(error instanceof Refused ? 403 : 502).end();
    }
  }

  #isKnown({ headers }: IncomingMessage): boolean {
    const credentials = Buffer.from(`entrepot:${this.#secret}`).toString('base64');
    return headers['proxy-authorization'] === `Basic ${credentials}`;
  }

  /** The address to connect to. A name with an address that is refused is refused with all of them. */
  async #addressOf(hostname: string): Promise<string> {
    const host = hostname.replace(/^\[|\]$/g, '');
    const addresses = isIP(host) === 0 ? (await lookup(host, { all: true })).map(({ address }) => address) : [host];
    for (const address of addresses) {
      if (!REFUSED.check(address, familyOf(address))) continue;
      this.refused ??= host === address ? host : `${host} (${address})`;
      throw new Refused(host);
    }
    return addresses[0] as string;
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

class Refused extends Error {}
