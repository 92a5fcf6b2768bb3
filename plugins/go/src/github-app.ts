import { sign, type KeyObject } from 'node:crypto';
import { EntrepotError, type Clock, type Transport } from '@entrepot/core';
import { isRecord, Lru, parseJson, untilAborted } from '@entrepot/core/formats';
import { failure } from './errors.js';

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

/** A token, or the id of an installation. */
interface Fetched {
  readonly value: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

interface Kept {
  readonly value: Promise<string>;
  /** Unknown while it is fetched. */
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
      const token = await this.#fetchToken(installation, key);
      this.#secrets.set(key, token.value);
      return token;
    });
    return await untilAborted(token, signal);
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
  #once(kept: Lru<Kept>, key: string, bring: () => Promise<Fetched>): Promise<string> {
    const known = kept.get(key);
    if (known !== undefined && this.#clock.now() < known.until) return known.value;
    const value = bring().then((fetched) => {
      entry.until = fetched.until;
      return fetched.value;
    });
    const entry: Kept = { value, until: Infinity };
    kept.set(key, entry);
    // Nobody may wait any more when it fails.
    value.catch(() => void (kept.get(key) === entry && kept.delete(key)));
    return value;
  }

  #installation(repository: string): Promise<string> {
    return this.#once(this.#installations, repository, async () => {
      const { id } = await this.#ask(repository, `repos/${repository}/installation`);
      if (typeof id !== 'number' && typeof id !== 'string') throw strange('an installation with an "id"');
      return { value: String(id), until: this.#clock.now() + INSTALLATION_KEPT };
    });
  }

  async #fetchToken(installation: string, repository: string): Promise<Fetched> {
    const path = `app/installations/${encodeURIComponent(installation)}/access_tokens`;
    const wanted = { repositories: [repository.split('/')[1]], permissions: { contents: 'read' } };
    const { token, expires_at: expires } = await this.#ask(repository, path, wanted);
    const until = typeof expires === 'string' ? Date.parse(expires) - MARGIN : Number.NaN;
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || Number.isNaN(until)) {
      throw strange('a "token" and its "expires_at"');
    }
    return { value: token, until };
  }

  /** Asks for what is at `path`; with a body by POST. */
  async #ask(repository: string, path: string, body?: object): Promise<Readonly<Record<string, unknown>>> {
    const reply = await this.#transport.send({
      method: body === undefined ? 'GET' : 'POST',
      url: new URL(`${this.#settings.apiUrl}/${path}`),
      headers: {
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${this.#signedClaim()}`,
        'user-agent': 'entrepot',
        'x-github-api-version': '2022-11-28',
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body && Buffer.from(JSON.stringify(body)),
      allowPrivate: true,
      signal: AbortSignal.timeout(TIMEOUT),
    });
    let text = '';
    for await (const piece of reply.body.setEncoding('utf8') as AsyncIterable<string>) {
      text += piece;
      // Leaving the loop destroys the body.
      if (text.length > LARGEST_REPLY) throw strange(`at most ${LARGEST_REPLY} bytes`);
    }
    if (reply.status !== 200 && reply.status !== 201) throw refusal(reply.status, reply.headers, repository);
    const found = parseJson(text);
    if (!isRecord(found)) throw strange('a JSON object');
    return found;
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

function strange(expected: string): EntrepotError {
  const message = `the API of the GitHub App answered strangely: expected ${expected}`;
  return failure('upstream-unavailable', 'GITHUB_APP_MALFORMED', message);
}

function refusal(status: number, headers: Readonly<Record<string, string>>, repository: string): EntrepotError {
  const retryAfter = /^\d+$/.test(headers['retry-after'] ?? '') ? Number(headers['retry-after']) : undefined;
  // A limit is told as 403 too.
  if (status === 429 || (status === 403 && (retryAfter !== undefined || headers['x-ratelimit-remaining'] === '0'))) {
    const message = 'the API of the GitHub App asks to wait';
    return failure('upstream-unavailable', 'GITHUB_APP_LIMITED', message, { status: 503, retryAfter });
  }
  if (status === 404 || status === 422) {
    const message = `the GitHub App is not installed for ${repository}, or it does not exist`;
    return failure('not-found', 'GITHUB_APP_NOT_INSTALLED', message);
  }
  if (status === 401 || status === 403) {
    const message = `the GitHub App of this route is refused (${status}); check its id and key`;
    return failure('forbidden', 'GITHUB_APP_REFUSED', message);
  }
  return failure('upstream-unavailable', 'GITHUB_APP_FAILED', `the API of the GitHub App answered ${status}`);
}
