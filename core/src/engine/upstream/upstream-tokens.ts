import type { Clock } from '../../api/clock.js';
import { EntrepotError, printableUrl } from '../../api/errors.js';
import type { AddressZone, TransportReply } from '../../api/transport.js';
import { Lru } from '../../formats/lru.js';
import { parseChallenges } from './challenge.js';
import { requireTrustedRealm } from './realm-trust.js';
import { untilAborted } from '../../formats/until-aborted.js';
import { drain, isRedirect, readBody, redirectTarget, refusal } from './upstream-reply.js';

/** The number of tokens that are kept. */
const MAX_TOKENS = 1000;
/** The longest that a realm may take to hand out a token; milliseconds. */
const TOKEN_TIMEOUT = 30_000;
/** The largest reply of a realm that is read; bytes. */
const MAX_TOKEN_REPLY = 256 * 1024;
/** The least lifetime of a token, which is also the default; seconds (distribution-spec, "Token Authentication"). */
const LEAST_LIFETIME = 60;
const MOST_LIFETIME = 86_400;
/** A token is renewed so long before its end, so that it does not end on its way; milliseconds. */
const RENEWED_BEFORE = 10_000;
const MAX_REDIRECTS = 5;

/** A place that needs a token. */
export interface GuardedPlace {
  /** Of the upstream: any URL on its origin. */
  readonly url: URL;
  readonly scope: string;
  /** The `Authorization` that is configured for this origin. A secret. */
  readonly credentials: string | undefined;
  readonly signal: AbortSignal;
}

/** An upstream's refusal that may be answered. */
export interface Refusal {
  /** The `WWW-Authenticate` of its 401. */
  readonly challenges: string;
  /** The zone of the upstream. Its realm may be in the same one. */
  readonly zone: AddressZone | undefined;
  /** The `Authorization` that it was given. */
  readonly refused: string | undefined;
}

/** Dependencies of `UpstreamTokens`. */
export interface TokenContext {
  readonly clock: Clock;
  /** Hosts besides an upstream's own site that may be a realm. */
  readonly trustedRealms: readonly string[];
  /** Sends one GET. `zone` is that of the server that named the URL. */
  get(
    url: URL,
    options: {
      readonly authorization: string | undefined;
      readonly zone: AddressZone | undefined;
      readonly signal: AbortSignal;
    },
  ): Promise<TransportReply>;
}

interface Realm {
  readonly url: URL;
  readonly zone: AddressZone | undefined;
}

interface Token {
  readonly authorization: string;
  readonly realm: Realm;
  /** When it is renewed; milliseconds since the epoch. */
  readonly renewAt: number;
}

/**
 * The tokens of upstreams that guard what they have with `Bearer` challenges (distribution-spec, "Token Authentication").
 * The configured user and password go to the realm, never to such an upstream; an upstream that answers with a `Basic`
 * challenge gets them itself.
 */
export class UpstreamTokens {
  readonly #context: TokenContext;
  readonly #tokens = new Lru<Token>(MAX_TOKENS);
  readonly #fetching = new Map<string, Promise<Token>>();
  /** Origins that want user and password themselves. */
  readonly #basic = new Set<string>();

  constructor(context: TokenContext) {
    this.#context = context;
  }

  /**
   * The `Authorization` for a request, as far as the upstream's needs are known. Renews a token that is about to
   * expire.
   */
  async authorization(place: GuardedPlace): Promise<string | undefined> {
    const { url, credentials } = place;
    if (credentials !== undefined && (!isBasic(credentials) || this.#basic.has(url.origin))) return credentials;
    const token = this.#tokens.get(tokenKey(place));
    if (token === undefined) return undefined;
    if (this.#context.clock.now() < token.renewAt) return token.authorization;
    return await this.#renew(place, token.realm);
  }

  /**
   * The `Authorization` for a retry after a refusal; `undefined` when there is no other one.
   * @throws EntrepotError `forbidden` when the realm is not trusted or gives no token, `upstream-unavailable` when it
   * fails
   */
  async answer(place: GuardedPlace, { challenges, zone, refused }: Refusal): Promise<string | undefined> {
    const { url, credentials } = place;
    // A token that the operator gave: there is no other.
    if (credentials !== undefined && !isBasic(credentials)) return undefined;
    const offered = parseChallenges(challenges);
    const bearer = offered.find(({ scheme, parameters }) => scheme === 'bearer' && Boolean(parameters.get('realm')));
    if (bearer !== undefined) {
      this.#basic.delete(url.origin);
      const known = this.#tokens.get(tokenKey(place))?.authorization;
      // Somebody else has renewed it meanwhile.
      if (known !== undefined && known !== refused) return known;
      return await this.#renew(place, { url: this.#realmOf(place, bearer.parameters), zone });
    }
    if (credentials === undefined || credentials === refused || !offered.some(({ scheme }) => scheme === 'basic'))
      return undefined;
    this.#basic.add(url.origin);
    return credentials;
  }

  /** The URL that issues the token for `place`. The challenge's own scope is not used: it can be a placeholder. */
  #realmOf({ url: upstream, scope }: GuardedPlace, parameters: ReadonlyMap<string, string>): URL {
    const url = requireTrustedRealm(parameters.get('realm') as string, upstream, this.#context.trustedRealms);
    const service = parameters.get('service');
    if (service !== undefined) url.searchParams.set('service', service);
    url.searchParams.set('scope', scope);
    return url;
  }

  /** One at a time for all who want this token; no client's hanging up ends it for the others. */
  async #renew(place: GuardedPlace, realm: Realm): Promise<string> {
    const key = tokenKey(place);
    let fetching = this.#fetching.get(key);
    if (fetching === undefined) {
      fetching = this.#fetch(place, realm).finally(() => this.#fetching.delete(key));
      this.#fetching.set(key, fetching);
    }
    return (await untilAborted(fetching, place.signal)).authorization;
  }

  async #fetch(place: GuardedPlace, realm: Realm): Promise<Token> {
    const key = tokenKey(place);
    this.#tokens.delete(key);
    const asked = this.#context.clock.now();
    const reply = await this.#ask(place, realm, AbortSignal.timeout(TOKEN_TIMEOUT));
    if (reply.status !== 200) {
      drain(reply);
      throw noToken(realm.url, place.scope, reply, this.#context.clock.now());
    }
    const { text, lifetime, issuedAt } = parseToken(
      (await readBody(reply, realm.url, MAX_TOKEN_REPLY)).toString(),
      realm.url,
    );
    // A token may have been issued a while ago; a date that makes no sense is that of another clock.
    const isPlausible = issuedAt <= asked && issuedAt + lifetime > asked;
    const endsAt = (isPlausible ? issuedAt : asked) + lifetime;
    const token: Token = { authorization: `Bearer ${text}`, realm, renewAt: endsAt - RENEWED_BEFORE };
    this.#tokens.set(key, token);
    return token;
  }

  async #ask({ url: upstream, credentials }: GuardedPlace, realm: Realm, signal: AbortSignal): Promise<TransportReply> {
    let { url, zone } = realm;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
      const authorization = url.origin === realm.url.origin ? credentials : undefined;
      const reply = await this.#context.get(url, { authorization, zone, signal });
      if (!isRedirect(reply.status, 'GET')) return reply;
      drain(reply);
      zone = reply.zone;
      const target = redirectTarget(url, reply.headers['location']);
      url = requireTrustedRealm(target.href, upstream, this.#context.trustedRealms);
    }
    throw new EntrepotError(
      'upstream-unavailable',
      `${printableUrl(realm.url)} redirects more than ${MAX_REDIRECTS} times`,
      { code: 'UPSTREAM_REDIRECTS' },
    );
  }
}

/** One token for each upstream and scope: the same scope means something else elsewhere. */
function tokenKey({ url, scope }: GuardedPlace): string {
  return `${url.origin} ${scope}`;
}

function isBasic(authorization: string): boolean {
  return /^basic /i.test(authorization);
}

/** Reads a token reply: `token` or, as OAuth 2.0 calls it, `access_token`. Times are milliseconds. */
function parseToken(json: string, realm: URL): { text: string; lifetime: number; issuedAt: number } {
  let said: unknown;
  try {
    said = JSON.parse(json);
  } catch {
    said = undefined;
  }
  const { token, access_token, expires_in, issued_at } = (said ?? {}) as Record<string, unknown>;
  const text = [token, access_token].find((one) => typeof one === 'string' && /^[!-~]+$/.test(one));
  if (text === undefined) {
    throw new EntrepotError(
      'upstream-unavailable',
      `${printableUrl(realm)} sent no token; expected JSON with "token"`,
      {
        code: 'UPSTREAM_PROTOCOL',
      },
    );
  }
  const seconds = Number(expires_in ?? 0);
  const lifetime = 1000 * Math.min(Math.max(seconds || 0, LEAST_LIFETIME), MOST_LIFETIME);
  const issuedAt = typeof issued_at === 'string' ? Date.parse(issued_at) : NaN;
  return { text: text as string, lifetime, issuedAt };
}

function noToken(realm: URL, scope: string, reply: TransportReply, now: number): EntrepotError {
  const { status } = reply;
  if (status === 429 || status >= 500) return refusal(realm, reply, now);
  const said = `${printableUrl(realm)} answered ${status} when it was asked for a token for ${scope}`;
  if (status === 400 || status === 401 || status === 403)
    return new EntrepotError('forbidden', said, { status, code: 'UPSTREAM_TOKEN_REFUSED' });
  return new EntrepotError('upstream-unavailable', said, { code: 'UPSTREAM_PROTOCOL' });
}
