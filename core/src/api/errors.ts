/** The kind of an error, in terms of HTTP. Handlers look at the kind only; `code` tells the errors of a kind apart. */
export type ErrorKind =
  | 'bad-request'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'method-not-allowed'
  | 'conflict'
  | 'precondition-failed'
  | 'too-large'
  | 'uri-too-long'
  | 'range-not-satisfiable'
  | 'policy-denied'
  | 'integrity'
  | 'upstream-unavailable'
  | 'scan-unavailable'
  | 'storage'
  | 'plugin'
  | 'configuration';

interface KindTraits {
  /** The status when the error names none of its own. */
  readonly status: number;
  /** Whether a kept copy may be served instead (architecture §6.6). Only ever true for an outage of the upstream. */
  readonly staleAllowed: boolean;
  /** Whether the message may be shown to the client. */
  readonly expose: boolean;
}

const KINDS: Readonly<Record<ErrorKind, KindTraits>> = {
  'bad-request': { status: 400, staleAllowed: false, expose: true },
  unauthorized: { status: 401, staleAllowed: false, expose: true },
  forbidden: { status: 403, staleAllowed: false, expose: true },
  'not-found': { status: 404, staleAllowed: false, expose: true },
  'method-not-allowed': { status: 405, staleAllowed: false, expose: true },
  conflict: { status: 409, staleAllowed: false, expose: true },
  'precondition-failed': { status: 412, staleAllowed: false, expose: true },
  'too-large': { status: 413, staleAllowed: false, expose: true },
  'uri-too-long': { status: 414, staleAllowed: false, expose: true },
  'range-not-satisfiable': { status: 416, staleAllowed: false, expose: true },
  'policy-denied': { status: 403, staleAllowed: false, expose: true },
  integrity: { status: 502, staleAllowed: false, expose: true },
  'upstream-unavailable': { status: 502, staleAllowed: true, expose: true },
  'scan-unavailable': { status: 503, staleAllowed: false, expose: true },
  storage: { status: 500, staleAllowed: false, expose: false },
  plugin: { status: 500, staleAllowed: false, expose: false },
  configuration: { status: 500, staleAllowed: false, expose: false },
};

/** Details of an `EntrepotError` besides its kind and message. */
export interface ErrorDetails {
  /** Stable, upper-snake; tests and operators match on it. Defaults to the kind in that spelling. */
  readonly code?: string;
  /** Another status of the same meaning (504 for a timeout, 503 when the upstream asked to wait). */
  readonly status?: number;
  /** Seconds after which a client may try again. */
  readonly retryAfter?: number | undefined;
  /** Response headers that belong to the error (`WWW-Authenticate`, `Allow`, `Content-Range`). */
  readonly headers?: Readonly<Record<string, string>>;
  /** The reason phrase of the status line, for clients that print nothing else. Absent: that of the status. */
  readonly reasonPhrase?: string | undefined;
  readonly cause?: unknown;
}

const BRAND = Symbol.for('entrepot:error');

/**
 * The one error type of Entrepot. `instanceof` works across two installed copies of core.
 * Messages say what was expected and what was found, and hold no secret and no URL credentials.
 */
export class EntrepotError extends Error {
  static {
    Object.defineProperty(this.prototype, BRAND, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  readonly kind: ErrorKind;
  readonly code: string;
  /** The HTTP status. */
  readonly status: number;
  /** Whether `message` may be shown to the client. */
  readonly expose: boolean;
  readonly retryAfter: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly reasonPhrase: string | undefined;

  constructor(kind: ErrorKind, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'EntrepotError';
    this.kind = kind;
    this.code = details.code ?? kind.toUpperCase().replaceAll('-', '_');
    this.status = details.status ?? KINDS[kind].status;
    this.expose = KINDS[kind].expose;
    this.retryAfter = details.retryAfter;
    this.headers = details.headers ?? {};
    this.reasonPhrase = details.reasonPhrase;
  }

  /** Whether a kept copy may be served instead of this error. */
  get staleAllowed(): boolean {
    return KINDS[this.kind].staleAllowed;
  }
}

/** `error` itself when it is ours; a full disk is one of its own; anything else becomes an error of `kind` with the original as its cause. */
export function asEntrepotError(error: unknown, kind: ErrorKind, message: string): EntrepotError {
  if (error instanceof EntrepotError) return error as EntrepotError;
  if (isFull(error)) return storageFull(message, error);
  return new EntrepotError(kind, message, { cause: error });
}

/** Codes of a full disk and of an exceeded quota, on this machine and in PostgreSQL (`disk_full`). */
const FULL = new Set(['ENOSPC', 'EDQUOT', '53100']);

/** Whether `error` says that there is no room on a disk. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && FULL.has(String(error.code));
}

/** The error of something that could not be kept for want of room (507, RFC 4918 §11.5). */
export function storageFull(message: string, cause?: unknown): EntrepotError {
  return new EntrepotError('storage', message, { status: 507, code: 'STORAGE_FULL', cause });
}

/** `url` as text for messages and logs: without user, password, query and fragment, which can all hold secrets. */
export function printableUrl(url: URL | string): string {
  const parsed = typeof url === 'string' ? safeUrl(url) : url;
  if (parsed === undefined) return '(not a URL)';
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}

function safeUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}
