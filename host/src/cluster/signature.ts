import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

/** The scheme of `Authorization` between the servers of a cluster. */
const SCHEME = 'Entrepot-Cluster';
/** A signature is good for this long, and from a clock that is ahead by as much; milliseconds. */
const VALID = 30_000;
/** Signatures that were used are remembered while they are good, so many at the most. */
const REMEMBERED = 100_000;

/** Signs requests between the servers of a cluster, and checks them. Each signature is good for one request, for half a minute. */
export class ClusterSignature {
  readonly #key: Buffer;
  readonly #now: () => number;
  /** Nonces with the ends of their validity, the oldest first. */
  readonly #used = new Map<string, number>();

  /** @param now the time of day, in milliseconds */
  constructor(secret: string, now: () => number = Date.now) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'entrepot cluster requests', 32));
    this.#now = now;
  }

  /** The `Authorization` of a request for `target`, a path with its query. */
  sign(target: string, method = 'GET'): string {
    const until = this.#now() + VALID;
    const nonce = randomBytes(16).toString('hex');
    return `${SCHEME} ${until}.${nonce}.${this.#sum(method, target, until, nonce).toString('hex')}`;
  }

  /** Whether `authorization` was signed for `target` a moment ago, and has not been used before. */
  check(target: string, authorization: string | undefined, method = 'GET'): boolean {
    const found = /^Entrepot-Cluster (\d{1,16})\.([0-9a-f]{32})\.([0-9a-f]{64})$/.exec(authorization ?? '');
    if (found === null) return false;
    const [, until = '', nonce = '', sum = ''] = found;
    const now = this.#now();
    if (!timingSafeEqual(Buffer.from(sum, 'hex'), this.#sum(method, target, Number(until), nonce))) return false;
    if (Number(until) < now || Number(until) > now + 2 * VALID || this.#used.has(nonce)) return false;
    this.#forgetOld(now);
    if (this.#used.size >= REMEMBERED) return false;
    this.#used.set(nonce, Number(until));
    return true;
  }

  #sum(method: string, target: string, until: number, nonce: string): Buffer {
    return createHmac('sha256', this.#key).update(`${method}\n${target}\n${until}\n${nonce}`).digest();
  }

  #forgetOld(now: number): void {
    for (const [nonce, until] of this.#used) {
      // They come in about the order of their ends.
      if (until >= now - VALID) return;
      this.#used.delete(nonce);
    }
  }
}
