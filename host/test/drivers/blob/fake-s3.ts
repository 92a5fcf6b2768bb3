import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { BUCKET } from './s3-server.js';
import { listenOnLoopback } from '../../local-server.js';

/** Answers a request in the place of the server. @returns whether it did */
export type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

/** The little of S3 that the store needs, in memory, with faults on demand. It checks no signature. */
export class FakeS3 {
  readonly objects = new Map<string, Buffer>();
  /** Requests as they came: method, path and headers. */
  readonly requests: IncomingMessage[] = [];
  /** Asked first. */
  fault: Fault = () => false;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FakeS3> {
    const server = createServer();
    const fake = new FakeS3(server);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      fake.requests.push(request);
      if (!fake.fault(request, response)) void fake.#answer(request, response);
    });
    await listenOnLoopback(server);
    return fake;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The requests of a method for blobs. */
  asked(method: string): readonly IncomingMessage[] {
    return this.requests.filter((request) => request.method === method && request.url?.includes('/v1/') === true);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '' } = request;
    const url = new URL(request.url as string, this.endpoint);
    const key = url.pathname.slice(`/${BUCKET}/`.length);
    const body = await buffer(request);
    if (url.pathname === `/${BUCKET}` || key === '') return void this.#bucket(url, response);
    const source = request.headers['x-amz-copy-source'];
    if (method === 'PUT' && typeof source === 'string') {
      this.objects.set(key, this.objects.get(source.slice(BUCKET.length + 1)) ?? Buffer.alloc(0));
      response.writeHead(200).end('<CopyObjectResult><ETag>"tag"</ETag></CopyObjectResult>');
    } else if (method === 'PUT') {
      this.objects.set(key, body);
      response.writeHead(200, { etag: '"tag"' }).end();
    } else if (method === 'DELETE') {
      this.objects.delete(key);
      response.writeHead(204).end();
    } else this.#give(request, response, this.objects.get(key));
  }

  #give(request: IncomingMessage, response: ServerResponse, bytes: Buffer | undefined): void {
    if (bytes === undefined) return failWith(response, 404, 'NoSuchKey');
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (from === undefined) {
      response.writeHead(200, { etag: '"tag"', 'content-length': bytes.length });
      return void response.end(request.method === 'HEAD' ? undefined : bytes);
    }
    const start = Number(from);
    if (start >= bytes.length) return failWith(response, 416, 'InvalidRange');
    const end = Math.min(Number(to), bytes.length - 1);
    response.writeHead(206, {
      etag: '"tag"',
      'content-length': end - start + 1,
      'content-range': `bytes ${start}-${end}/${bytes.length}`,
    });
    response.end(bytes.subarray(start, end + 1));
  }

  #bucket(url: URL, response: ServerResponse): void {
    if (!url.searchParams.has('list-type')) return void response.writeHead(200).end();
    const [prefix, after] = ['prefix', 'start-after'].map((name) => url.searchParams.get(name) ?? '') as [
      string,
      string,
    ];
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const page = keys.slice(0, Math.min(2, Number(url.searchParams.get('max-keys') ?? 2)));
    const contents = page.map(
      (key) => `<Contents><Key>${key}</Key><Size>${this.objects.get(key)?.length}</Size></Contents>`,
    );
    // Truncated pages have no token, as those of some servers.
    const truncated = page.length < keys.length;
    response.writeHead(200, { 'content-type': 'application/xml' });
    response.end(
      `<?xml version="1.0"?><ListBucketResult><Name>${BUCKET}</Name><IsTruncated>${truncated}</IsTruncated>${contents.join('')}</ListBucketResult>`,
    );
  }
}

/** Answers as S3 answers what it refuses. */
export function failWith(
  response: ServerResponse,
  status: number,
  code: string,
  more: Record<string, string> = {},
): void {
  const { date, ...fields } = more;
  const body = Object.entries({ Code: code, Message: `${code} it is`, ...fields })
    .map(([name, value]) => `<${name}>${value}</${name}>`)
    .join('');
  response.writeHead(status, { 'content-type': 'application/xml', ...(date !== undefined && { date }) });
  response.end(`<?xml version="1.0"?><Error>${body}</Error>`);
}
