import { sign, type KeyObject } from 'node:crypto';
import { EntrepotError, type Clock, type Transport } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';

/** A GitHub App that is installed where the private repositories are. */
export interface GithubAppSettings {
  /** The app's id or client id. */
  readonly appId: string;
  /** A secret. */
  readonly privateKey: KeyObject;
  /** The installation; absent: looked up for each repository. */
  readonly installation: string | undefined;
  /** `https://api.github.com`, or `https://<host>/api/v3`; without a trailing slash. */
  readonly apiUrl: string;
}

/** A token lives for an hour; one that ends sooner than this, in milliseconds, may end in the middle of a clone. */
const MARGIN = 10 * 60_000;
/** Milliseconds for which an installation's id is taken for the same. */
const INSTALLATION_KEPT = 5 * 60_000;
/** Of a request, in milliseconds. */
const TIMEOUT = 30_000;
const LARGEST_REPLY = 1024 * 1024;
/** Tokens and installations that are kept. */
const MOST = 1000;

interface Kept {
  readonly value: Promise<string>;
  /** Milliseconds since the epoch; unknown while it is fetched. */
  until: number;
}

/**
 * Installation tokens of a GitHub App, each for one repository and for reading only
 * (docs.github.com, "Generating an installation access token for a GitHub App"). Kept in memory until shortly before they end.
 */
export class GithubApp {
  readonly #settings: GithubAppSettings;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #tokens = new Lru<Kept>(MOST);
  readonly #installations = new Lru<Kept>(MOST);
  /** Tokens that were given out and may still work. */
  readonly #secrets = new Lru<string>(MOST);

  constructor(settings: GithubAppSettings, services: { readonly transport: Transport; readonly clock: Clock }) {
    this.#settings = settings;
    this.#transport = services.transport;
    this.#clock = services.clock;
  }

  /**
   * A token with which `owner/repository` can be read; one fetch at a time for each.
   * @throws EntrepotError `not-found` when the app is not installed there, `forbidden` when it is refused, `upstream-unavailable`
   */
  async token(owner: string, repository: string, signal: AbortSignal): Promise<string> {
    for (const name of [owner, repository]) {
      if (!/^[A-Za-z0-9._-]+$/.test(name) || /^\.+$/.test(name)) {
        throw new EntrepotError('not-found', 'expected a repository owner/name for a GitHub App');
      }
    }
    // GitHub's names do not differ by case.
    const key = `${owner}/${repository}`.toLowerCase();
    const token = this.#once(this.#tokens, key, async () => {
      const installation = this.#settings.installation ?? (await this.#installation(key));
      const { value, until } = await this.#fetchToken(installation, key);
      this.#secrets.set(key, value);
      return { value, until: until - MARGIN };
    });
    return await orAborted(token, signal);
  }

  /** A token was refused: the next one is a new one. */
  forget(token: string): void {
    for (const [key, secret] of this.#secrets.entries()) if (secret === token) this.#tokens.delete(key);
  }

  /** The tokens that were given out. */
  secrets(): readonly string[] {
    return Array.from(this.#secrets.entries(), ([, secret]) => secret);
  }

  /** Gives the value that is kept for `key`, or runs `bring` once for all who ask meanwhile. A failure is not kept. */
  #once(
    kept: Lru<Kept>,
    key: string,
    bring: () => Promise<{ readonly value: string; readonly until: number }>,
  ): Promise<string> {
    const known = kept.get(key);
    if (known !== undefined && this.#clock.now() < known.until) return known.value;
    const brought = bring();
    const entry: Kept = { value: brought.then(({ value }) => value), until: Infinity };
    kept.set(key, entry);
    brought.then(
      ({ until }) => void (entry.until = until),
      () => void (kept.get(key) === entry && kept.delete(key)),
    );
    // Nobody may wait any more when it fails.
    entry.value.catch(() => {});
    return entry.value;
  }

  #installation(repository: string): Promise<string> {
    return this.#once(this.#installations, repository, async () => {
      const { id } = await this.#ask('GET', `repos/${repository}/installation`, undefined, repository);
      if (typeof id !== 'number' && typeof id !== 'string') throw strange('an installation with an "id"');
      return { value: String(id), until: this.#clock.now() + INSTALLATION_KEPT };
    });
  }

  async #fetchToken(installation: string, key: string): Promise<{ readonly value: string; readonly until: number }> {
    const [, repository] = key.split('/');
    const body = { repositories: [repository], permissions: { contents: 'read' } };
    const { token, expires_at: expires } = await this.#ask(
      'POST',
      `app/installations/${encodeURIComponent(installation)}/access_tokens`,
      body,
      key,
    );
    const until = typeof expires === 'string' ? Date.parse(expires) : Number.NaN;
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || Number.isNaN(until)) {
      throw strange('a "token" and its "expires_at"');
    }
    return { value: token, until };
  }

  async #ask(
    method: 'GET' | 'POST',
    path: string,
    body: unknown,
    repository: string,
  ): Promise<Readonly<Record<string, unknown>>> {
    const reply = await this.#transport.send({
      method,
      url: new URL(`${this.#settings.apiUrl}/${path}`),
      headers: {
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${this.#signedClaim()}`,
        'user-agent': 'entrepot',
        'x-github-api-version': '2022-11-28',
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
      allowPrivate: true,
      signal: AbortSignal.timeout(TIMEOUT),
    });
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of reply.body as AsyncIterable<Buffer>) {
      size += chunk.length;
      // Leaving the loop destroys the body.
      if (size > LARGEST_REPLY) throw strange(`at most ${LARGEST_REPLY} bytes`);
      chunks.push(chunk);
    }
    if (reply.status !== 200 && reply.status !== 201) throw refusal(reply.status, reply.headers, repository);
    try {
      return (JSON.parse(Buffer.concat(chunks).toString()) ?? {}) as Readonly<Record<string, unknown>>;
    } catch {
      throw strange('JSON');
    }
  }

  /** A JSON Web Token (RFC 7519) that proves to be the app; GitHub takes ten minutes at the most, and its clock may be behind. */
  #signedClaim(): string {
    const now = Math.floor(this.#clock.now() / 1000);
    const parts = [
      { alg: 'RS256', typ: 'JWT' },
      { iat: now - 60, exp: now + 8 * 60, iss: this.#settings.appId },
    ];
    const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${text}.${sign('RSA-SHA256', Buffer.from(text), this.#settings.privateKey).toString('base64url')}`;
  }
}

/** Waits for `value`, unless `signal` is aborted first. */
async function orAborted<Value>(value: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  return await new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    value.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function strange(expected: string): EntrepotError {
  return new EntrepotError(
    'upstream-unavailable',
    `the API of the GitHub App answered strangely: expected ${expected}`,
    {
      code: 'GITHUB_APP_MALFORMED',
    },
  );
}

function refusal(status: number, headers: Readonly<Record<string, string>>, repository: string): EntrepotError {
  const retryAfter = /^\d+$/.test(headers['retry-after'] ?? '') ? Number(headers['retry-after']) : undefined;
  // A limit is told as 403 too.
  if (status === 429 || (status === 403 && (retryAfter !== undefined || headers['x-ratelimit-remaining'] === '0'))) {
    const details = { code: 'GITHUB_APP_LIMITED', status: 503, retryAfter };
    return new EntrepotError('upstream-unavailable', 'the API of the GitHub App asks to wait', details);
  }
  if (status === 404 || status === 422) {
    return new EntrepotError('not-found', `the GitHub App is not installed for ${repository}, or it does not exist`, {
      code: 'GITHUB_APP_NOT_INSTALLED',
    });
  }
  if (status === 401 || status === 403) {
    return new EntrepotError('forbidden', `the GitHub App of this route is refused (${status}); check its id and key`, {
      code: 'GITHUB_APP_REFUSED',
    });
  }
  return new EntrepotError('upstream-unavailable', `the API of the GitHub App answered ${status}`, {
    code: 'GITHUB_APP_FAILED',
  });
}
