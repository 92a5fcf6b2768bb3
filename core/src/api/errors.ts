/** The kinds of errors, in terms of HTTP, with the status of an error that names none of its own. */
const STATUSES = {
  'bad-request': 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  'method-not-allowed': 405,
  conflict: 409,
  'precondition-failed': 412,
  'too-large': 413,
  'uri-too-long': 414,
  'range-not-satisfiable': 416,
  'too-many-requests': 429,
  'policy-denied': 403,
  integrity: 502,
  'upstream-unavailable': 502,
  'scan-unavailable': 503,
  storage: 500,
  plugin: 500,
  configuration: 500,
} as const;

/** The kind of an error. Handlers look at the kind only; `code` tells the errors of a kind apart. */
export type ErrorKind = keyof typeof STATUSES;

/** All kinds of errors. */
export const ERROR_KINDS = Object.keys(STATUSES) as readonly ErrorKind[];

/** Kinds whose messages are not shown to clients. */
const HIDDEN: ReadonlySet<ErrorKind> = new Set(['storage', 'plugin', 'configuration']);

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
    this.status = details.status ?? STATUSES[kind];
    this.expose = !HIDDEN.has(kind);
    this.retryAfter = details.retryAfter;
    this.headers = details.headers ?? {};
    this.reasonPhrase = details.reasonPhrase;
  }

  /** Whether a kept copy may be served instead of this error. */
  get staleAllowed(): boolean {
    return this.kind === 'upstream-unavailable';
  }
}

/** `error` itself when it is ours; a full disk is one of its own; anything else becomes an error of `kind` with the original as its cause. */
export function asEntrepotError(error: unknown, kind: ErrorKind, message: string): EntrepotError {
  if (error instanceof EntrepotError) return error as EntrepotError;
  if (isFull(error)) return storageFull(message, error);
  return new EntrepotError(kind, message, { cause: error });
}

/** The error of a scan that gave no report. */
export function scanError(code: `SCAN_${string}`, message: string, cause?: unknown): EntrepotError {
  return new EntrepotError('scan-unavailable', message, { code, cause });
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
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
