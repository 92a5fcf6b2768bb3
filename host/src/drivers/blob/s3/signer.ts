import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import type { SignatureV4 } from '@smithy/signature-v4';

/** The SHA-256 of no bytes: the payload of a GET. */
export const EMPTY_HASH = createHash('sha256').digest('hex');

/** Credentials as the chain of the SDK gives them. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface S3SignerOptions {
  readonly region: string;
  /** Gives the credentials that hold now. */
  readonly credentials: () => Promise<Credentials>;
  /** The time that requests are signed with. */
  readonly now: () => Date;
}

/** Where objects of a bucket are. */
export interface BucketAddress {
  readonly protocol: 'http:' | 'https:';
  readonly hostname: string;
  readonly port?: number | undefined;
  /** The path before the key, with its slash at the end. */
  readonly path: string;
}

/** Node's own SHA-256, as the signer of the SDK takes it. */
class NodeSha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as Uint8Array);
  }

  update(data: Uint8Array): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {}
}

/** Signs requests for objects of one bucket (AWS Signature Version 4). */
export class S3Signer {
  readonly #signer: SignatureV4;
  readonly #address: BucketAddress;
  readonly #now: () => Date;
  /** The `Host` header. */
  readonly #host: string;

  /** Loads the signer that comes with the SDK. */
  static async load(address: BucketAddress, options: S3SignerOptions): Promise<S3Signer> {
    const { SignatureV4 } = await import('@smithy/signature-v4');
    const { region, credentials } = options;
    const signer = new SignatureV4({
      region,
      credentials: async () => {
        const { accessKeyId, secretAccessKey, sessionToken } = await credentials();
        return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
      },
      service: 's3',
      sha256: NodeSha256,
      // Keys need no escape, and S3 signs paths as they are.
      uriEscapePath: false,
      applyChecksum: false,
    });
    return new S3Signer(signer, address, options.now);
  }

  private constructor(signer: SignatureV4, address: BucketAddress, now: () => Date) {
    this.#signer = signer;
    this.#address = address;
    this.#now = now;
    this.#host = hostOf(address);
  }

  /** The headers of a GET, signed. @param headers those of the caller, in lower case; they are signed too */
  async sign(key: string, headers: Readonly<Record<string, string>> = {}): Promise<Record<string, string>> {
    const request = this.#request(key, { ...headers, 'x-amz-content-sha256': EMPTY_HASH });
    const signed = await this.#signer.sign(request, { signingDate: this.#now() });
    return signed.headers;
  }

  /**
   * A URL that serves an object by itself.
   * @param ttl how long, in seconds
   * @param more of its query, which is signed too: `response-content-type`
   */
  async presign(key: string, ttl: number, more: Readonly<Record<string, string>> = {}): Promise<URL> {
    const request = { ...this.#request(key, { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' }), query: { ...more } };
    const { query = {} } = await this.#signer.presign(request, {
      expiresIn: ttl,
      signingDate: this.#now(),
      unsignableHeaders: new Set(['x-amz-content-sha256']),
      unhoistableHeaders: new Set(['x-amz-content-sha256']),
    });
    const { protocol, path } = this.#address;
    const url = new URL(`${protocol}//${this.#host}${path}${key}`);
    // As it was signed: a space is `%20`, and never `+`.
    url.search = Object.entries(query)
      .map(([name, value]) => `${escapeUri(name)}=${escapeUri(String(value))}`)
      .join('&');
    return url;
  }

  #request(key: string, headers: Record<string, string>) {
    const { protocol, hostname, port, path } = this.#address;
    return {
      method: 'GET',
      protocol,
      hostname,
      ...(port !== undefined && { port }),
      path: `${path}${key}`,
      query: {},
      headers: { host: this.#host, ...headers },
    };
  }
}

/** Escapes as RFC 3986 does, which signatures are over. */
function escapeUri(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}

function hostOf({ protocol, hostname, port }: BucketAddress): string {
  const isUsual = port === undefined || port === (protocol === 'https:' ? 443 : 80);
  return isUsual ? hostname : `${hostname}:${port}`;
}
