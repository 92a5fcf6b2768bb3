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
/** The time between two looks at the files of certificates. */
const CERTIFICATES_INTERVAL = 5_000;

/** One address on which an app is served. */
export class Listener {
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #certificates: NodeJS.Timeout | undefined;

  /** @throws EntrepotError `configuration` for certificates that cannot be used */
  constructor(
    app: RequestListener,
    options: ListenerOptions,
    logger: Logger,
    certificatesInterval = CERTIFICATES_INTERVAL,
  ) {
    const { headersTimeout, requestTimeout, keepAliveTimeout, maxHeaderBytes, tls } = options;
    this.#options = options;
    const bounds = {
      headersTimeout,
      // Node refuses one that is shorter than that of the head.
      requestTimeout: Math.max(requestTimeout, headersTimeout),
      keepAliveTimeout,
      maxHeaderSize: maxHeaderBytes,
      highWaterMark: WRITE_BUFFER,
      insecureHTTPParser: false,
      connectionsCheckingInterval: Math.min(30_000, headersTimeout),
    };
    if (tls === undefined) this.#server = createServer(bounds, app);
    else {
      const requestCert = tls.clientCertificates === 'require';
      const secure = { minVersion: 'TLSv1.2' as const, requestCert, handshakeTimeout: headersTimeout };
      const server = createSecureServer({ ...bounds, ...secure, ...readCertificates(tls) }, app);
      this.#server = server;
      this.#certificates = followCertificates(server, tls, certificatesInterval, logger);
    }
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

  /** Accepts nothing more, waits up to `timeout` milliseconds for what is running, then breaks it off. */
  async close(timeout: number): Promise<void> {
    clearInterval(this.#certificates);
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

/** Takes the certificates anew when their files change, for the connections that come then. */
function followCertificates(server: SecureServer, tls: TlsConfig, interval: number, logger: Logger): NodeJS.Timeout {
  let known = certificatesVersion(tls);
  return setInterval(() => {
    const version = certificatesVersion(tls);
    if (version === known) return;
    known = version;
    try {
      server.setSecureContext({ minVersion: 'TLSv1.2', ...readCertificates(tls) });
      logger.info({ file: tls.cert }, 'certificates were read again');
    } catch (error) {
      logger.error({ err: error, file: tls.cert }, 'certificates cannot be used; those from before stay');
    }
  }, interval).unref();
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
