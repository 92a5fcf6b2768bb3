import { Agent, type IncomingMessage } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import type { Readable } from 'node:stream';
import type * as Sdk from '@google-cloud/storage';
import { withoutTrailingSlashes } from '@entrepot/core';
import { mayPass, sendRequest, textOf, UnexpectedReply } from '@entrepot/core/blobs';
import { serviceAccount } from './credentials.js';
import { CredentialsError, errorOf, failureOf } from './failure.js';
import type { GcsOptions } from './options.js';

const ENDPOINT = 'https://storage.googleapis.com';
/** The longest answer in JSON: a page of a listing has up to 1,000 objects. In bytes. */
const MAX_JSON_BYTES = 16 * 1024 * 1024;
/** The longest wait for a token, in milliseconds. */
const TOKEN_TIMEOUT = 20_000;

/** A request of the JSON API. */
export interface ApiRequest {
  readonly method?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Buffer | Readable | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Requests to the API, with the credentials of the SDK. They are sent by ourselves: the streams of the SDK know no limit for a pause, and
 * what it holds in memory to repeat uploads, we have on the disk.
 */
export class GcsApi {
  readonly origin: string;
  readonly storage: Sdk.Storage;
  readonly #options: GcsOptions;
  readonly #agent: Agent;

  /** Loads the SDK, which takes 17 MiB of memory: where a bucket is configured. */
  static async open(options: GcsOptions): Promise<GcsApi> {
    const { Storage } = await import('@google-cloud/storage');
    const { keyFile, endpoint } = options;
    const storage = new Storage({
      ...(keyFile !== undefined && { authClient: await serviceAccount(keyFile) }),
      ...(endpoint !== undefined && { apiEndpoint: endpoint }),
    });
    return new GcsApi(storage, options);
  }

  private constructor(storage: Sdk.Storage, options: GcsOptions) {
    this.storage = storage;
    this.#options = options;
    this.origin = withoutTrailingSlashes(options.endpoint ?? ENDPOINT);
    const agent = { keepAlive: true, maxFreeSockets: options.connections };
    this.#agent = this.origin.startsWith('https:') ? new SecureAgent(agent) : new Agent(agent);
  }

  /** The URL of an object, or of what all objects are listed by. */
  objectUrl(key: string | undefined, query: Readonly<Record<string, string>>, folder = ''): URL {
    const { bucket } = this.#options;
    const name = key === undefined ? '' : `/${encodeURIComponent(key)}`;
    const url = new URL(`${this.origin}${folder}/storage/v1/b/${bucket}/o${name}`);
    for (const [parameter, value] of Object.entries(query)) url.searchParams.set(parameter, value);
    return url;
  }

  /**
   * Sends a request, and waits for the head of its answer.
   * @returns the answer, whose body the caller reads or destroys
   */
  async send(url: URL, { method = 'GET', headers = {}, body, signal }: ApiRequest = {}): Promise<IncomingMessage> {
    const request = { url, method, headers: { ...(await this.#credentials()), ...headers }, agent: this.#agent };
    return await sendRequest({ ...request, body, signal }, this.#options);
  }

  /** Sends a request, and reads its answer, which has to be a success in JSON. */
  async json(url: URL, request: ApiRequest = {}): Promise<Readonly<Record<string, unknown>>> {
    return await readJson(await this.send(url, request), this.#options.idleTimeout);
  }

  dispose(): void {
    this.#agent.destroy();
  }

  async #credentials(): Promise<Record<string, string>> {
    if (this.#options.anonymous) return {};
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no token within ${TOKEN_TIMEOUT} ms`)), TOKEN_TIMEOUT);
    });
    try {
      const headers = await Promise.race([this.storage.authClient.getRequestHeaders(), late]);
      return Object.fromEntries(headers as unknown as Iterable<[string, string]>);
    } catch (error) {
      // A server of tokens that is busy, or that cannot be reached, is tried again.
      throw mayPass(error, failureOf(error)) ? error : new CredentialsError(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Reads an answer that has to be a success in JSON. */
export async function readJson(
  answer: IncomingMessage,
  idleTimeout: number,
): Promise<Readonly<Record<string, unknown>>> {
  const text = await readSuccess(answer, idleTimeout);
  const found = parsed(text);
  if (found !== undefined) return found;
  const type = answer.headers['content-type'];
  throw new UnexpectedReply(`expected JSON from Google Cloud Storage, found ${type} of ${text.length} bytes`);
}

/** Reads an answer that has to be a success. */
export async function readSuccess(answer: IncomingMessage, idleTimeout: number): Promise<string> {
  const late = (): void => void answer.destroy(new Error(`the answer did not end within ${idleTimeout} ms`));
  const timer = setTimeout(late, idleTimeout);
  try {
    const { statusCode = 0 } = answer;
    if (statusCode < 200 || statusCode > 299) throw await errorOf(answer);
    return await textOf(answer, MAX_JSON_BYTES);
  } finally {
    clearTimeout(timer);
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
