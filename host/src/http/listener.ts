import type { RequestListener, Server } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Logger } from '@entrepot/core';
import type { TlsConfig } from '../config/schema.js';
import { createServer } from '../node-http.js';
import { certificatesVersion, readCertificates } from './certificates.js';

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
  /**
   * Whether other processes listen there, too: the system gives each connection to one of them. Not for a port that it chooses.
   * Default: no.
   */
  readonly reusePort?: boolean | undefined;
  /** Absent: plain HTTP. */
  readonly tls?: TlsConfig | undefined;
}

/** A connection on which nothing moves for this long is given up: a client that stopped reading, and never said so. */
const IDLE_TIMEOUT = 600_000;
/** Bytes that wait for a slow client before the source is paused. Larger than a chunk of a file, so that pausing is rare. */
const WRITE_BUFFER = 128 * 1024;
/** The time between two looks for connections that have become idle while draining. */
const SWEEP_INTERVAL = 50;
const SECURE = { minVersion: 'TLSv1.2' } as const;
/** The longest time that a timer can wait, in milliseconds. */
const LONGEST = 2 ** 31 - 1;
/** The time between two looks at the files of certificates. */
const CERTIFICATES_INTERVAL = 5_000;

/** One address on which an app is served. */
export class Listener {
  readonly #server: Server;
  readonly #logger: Logger;
  readonly #certificatesInterval: number;
  #options: ListenerOptions;
  #app: RequestListener;
  #certificates: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  /** @throws EntrepotError `configuration` for certificates that cannot be used */
  constructor(
    app: RequestListener,
    options: ListenerOptions,
    logger: Logger,
    certificatesInterval = CERTIFICATES_INTERVAL,
  ) {
    this.#app = app;
    this.#options = options;
    this.#logger = logger;
    this.#certificatesInterval = certificatesInterval;
    const { headersTimeout, maxHeaderBytes, tls } = options;
    const bounds = {
      maxHeaderSize: maxHeaderBytes,
      highWaterMark: WRITE_BUFFER,
      insecureHTTPParser: false,
      connectionsCheckingInterval: Math.min(30_000, headersTimeout),
    };
    const answer: RequestListener = (request, response) => this.#app(request, response);
    if (tls === undefined) this.#server = createServer(bounds, answer);
    else {
      const requestCert = tls.clientCertificates === 'require';
      const secure = { ...SECURE, requestCert, handshakeTimeout: headersTimeout };
      const server = createSecureServer({ ...bounds, ...secure, ...readCertificates(tls) }, answer);
      this.#server = server;
      this.#certificates = followCertificates(server, tls, certificatesInterval, logger);
    }
    this.#bound(options);
    this.#server.setTimeout(IDLE_TIMEOUT);
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      logger.debug({ err: error }, 'malformed request');
      refuse(error, socket as Socket);
    });
  }

  /**
   * Answers with another app from the next request on, within other bounds. The address, the largest head, and whether it speaks TLS and
   * asks for certificates of clients stay as they are.
   */
  swap(app: RequestListener, options: ListenerOptions): void {
    if (app === this.#app) return;
    this.#app = app;
    this.#options = { ...options, host: this.#options.host, port: this.#options.port };
    this.#bound(options);
    const { tls } = options;
    if (tls === undefined || this.#certificates === undefined) return;
    clearInterval(this.#certificates);
    const server = this.#server as SecureServer;
    takeCertificates(server, tls, this.#logger);
    this.#certificates = followCertificates(server, tls, this.#certificatesInterval, this.#logger);
  }

  #bound({ headersTimeout, requestTimeout, keepAliveTimeout }: ListenerOptions): void {
    this.#server.headersTimeout = headersTimeout;
    // One that is shorter than that of the head would end before it.
    this.#server.requestTimeout = Math.max(requestTimeout, headersTimeout);
    this.#server.keepAliveTimeout = keepAliveTimeout;
  }

  /**
   * Begins to accept connections.
   * @returns the URL of the listener
   * @throws the system's error, for example `EADDRINUSE`
   */
  async listen(): Promise<string> {
    const { host, port, reusePort = false } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(
        { port, reusePort: reusePort && port !== 0, ...(host === undefined ? undefined : { host }) },
        () => {
          this.#server.off('error', reject);
          resolve();
        },
      );
    });
    return this.url;
  }

  /** The URL for clients on this machine. */
  get url(): string {
    const { host, tls } = this.#options;
    const shown = host ?? 'localhost';
    return `${tls === undefined ? 'http' : 'https'}://${shown.includes(':') ? `[${shown}]` : shown}:${this.port}`;
  }

  /** The port that is listened on; 0 before. */
  get port(): number {
    return (this.#server.address() as AddressInfo | undefined | null)?.port ?? 0;
  }

  /**
   * Accepts nothing more, waits for what is running, and breaks it off after `timeout` milliseconds. A second call waits for the first one,
   * at most so long.
   */
  async close(timeout = LONGEST): Promise<void> {
    clearInterval(this.#certificates);
    if (!this.#server.listening && this.#closed === undefined) return;
    this.#closed ??= this.#close();
    const end = setTimeout(() => this.#server.closeAllConnections(), timeout);
    await this.#closed;
    clearTimeout(end);
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const sweep = setInterval(() => this.#server.closeIdleConnections(), SWEEP_INTERVAL);
    await closed;
    clearInterval(sweep);
  }
}

/** Takes the certificates anew when their files change, for the connections that come then. */
function followCertificates(server: SecureServer, tls: TlsConfig, interval: number, logger: Logger): NodeJS.Timeout {
  let known = certificatesVersion(tls);
  return setInterval(() => {
    const version = certificatesVersion(tls);
    if (version === known) return;
    known = version;
    takeCertificates(server, tls, logger);
  }, interval).unref();
}

function takeCertificates(server: SecureServer, tls: TlsConfig, logger: Logger): void {
  try {
    server.setSecureContext({ ...SECURE, ...readCertificates(tls) });
    logger.info({ file: tls.cert }, 'certificates were read again');
  } catch (error) {
    logger.error({ err: error, file: tls.cert }, 'certificates cannot be used; those from before stay');
  }
}

/** By the code of the parser. */
const REFUSALS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Answers what is no HTTP request, and closes: what follows on the connection cannot be told apart any more. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  // As Node's own handler: nothing may be written into the middle of an answer that is on its way.
  const { _httpMessage: current } = socket as { _httpMessage?: { readonly headersSent: boolean } };
  if (!socket.writable || error.code === 'ECONNRESET' || current?.headersSent === true) {
    socket.destroy();
    return;
  }
  const status = REFUSALS[error.code ?? ''] ?? '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n`, () =>
    socket.destroy(),
  );
}
