import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Logger } from '@entrepot/core';
import type Koa from 'koa';

/** Bounds of one listener; times in milliseconds. */
export interface ListenerOptions {
  /** Absent: every address of the machine. */
  readonly host?: string | undefined;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly headersTimeout: number;
  /** For a whole request: long enough for the upload of something large. */
  readonly requestTimeout: number;
  readonly keepAliveTimeout: number;
  readonly maxHeaderBytes: number;
}

/** A connection on which nothing moves for this long is given up: a client that stopped reading, and never said so. */
const IDLE_TIMEOUT = 600_000;
/** Bytes that wait for a slow client before the source is paused. Larger than a chunk of a file, so that pausing is rare. */
const WRITE_BUFFER = 128 * 1024;
/** How often connections that have become idle are looked for while draining. */
const SWEEP_INTERVAL = 50;

/** One address on which an app is served. */
export class Listener {
  readonly #server: Server;
  readonly #options: ListenerOptions;

  constructor(app: Koa, options: ListenerOptions, logger: Logger) {
    const { headersTimeout, requestTimeout, keepAliveTimeout, maxHeaderBytes } = options;
    this.#options = options;
    this.#server = createServer(
      {
        headersTimeout,
        // Node refuses one that is shorter than that of the head.
        requestTimeout: Math.max(requestTimeout, headersTimeout),
        keepAliveTimeout,
        maxHeaderSize: maxHeaderBytes,
        highWaterMark: WRITE_BUFFER,
        insecureHTTPParser: false,
        connectionsCheckingInterval: Math.min(30_000, headersTimeout),
      },
      app.callback(),
    );
    this.#server.setTimeout(IDLE_TIMEOUT);
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      logger.debug({ err: error }, 'malformed request');
      refuse(error, socket as Socket);
    });
  }

  /**
   * Begins to accept connections.
   * @returns the URL of the listener
   * @throws the system's error, for example `EADDRINUSE`
   */
  async listen(): Promise<string> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, ...(host === undefined ? undefined : { host }) }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    const shown = host ?? 'localhost';
    return `http://${shown.includes(':') ? `[${shown}]` : shown}:${this.port}`;
  }

  /** The port that is listened on; 0 before. */
  get port(): number {
    return (this.#server.address() as AddressInfo | undefined | null)?.port ?? 0;
  }

  /** Accepts nothing more, waits up to `timeout` milliseconds for what is running, then breaks it off. */
  async close(timeout: number): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const sweep = setInterval(() => this.#server.closeIdleConnections(), SWEEP_INTERVAL);
    const end = setTimeout(() => this.#server.closeAllConnections(), timeout);
    try {
      await closed;
    } finally {
      clearInterval(sweep);
      clearTimeout(end);
    }
  }
}

/** Answers what is no HTTP request, and closes: what follows on the connection cannot be told apart any more. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  // As Node's own handler: nothing may be written into the middle of an answer that is on its way.
  const { _httpMessage: current } = socket as { _httpMessage?: { readonly headersSent: boolean } };
  if (!socket.writable || error.code === 'ECONNRESET' || current?.headersSent === true) {
    socket.destroy();
    return;
  }
  const status = statusOf(error.code);
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n`, () =>
    socket.destroy(),
  );
}

function statusOf(code: string | undefined): string {
  if (code === 'HPE_HEADER_OVERFLOW') return '431 Request Header Fields Too Large';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return '408 Request Timeout';
  return '400 Bad Request';
}
