import { Agent as SecureAgent } from 'node:https';
import type * as Sdk from '@aws-sdk/client-s3';
import type { Logger } from '@entrepot/core';
import type { SendOptions } from '@entrepot/core/blobs';
import { Agent } from '../../../node-http.js';
import { assertInstalled } from '../../optional-packages.js';
import { BucketGuard } from './bucket-guard.js';
import { s3Error, withRetries } from './failure.js';
import { sdkLogger } from './sdk-logger.js';
import { bucketName, type S3Settings } from './settings.js';
import { type BucketAddress, S3Signer } from './signer.js';

/** How often a request is tried that changes nothing, or that can be repeated as it is. */
const ATTEMPTS = 3;
/** How often a write is tried. */
export const WRITE_ATTEMPTS = 5;

/** A request that takes its time, such as one with a large body: only the pause within it is limited, by `idleTimeout`. */
export const SLOW = { requestTimeout: 0 };

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** How often it is tried. Default: 3. */
  readonly attempts?: number;
}

/** The client of the SDK for one bucket, which is loaded only where a bucket is configured: it takes 20 MiB of memory. */
export class S3Connection {
  readonly sdk: typeof Sdk;
  readonly client: Sdk.S3Client;
  readonly settings: S3Settings;
  readonly guard: BucketGuard;
  /** The ids of uploads in parts that this process is at. */
  readonly uploads = new Set<string>();
  /** The parameters with which everything is written. */
  readonly encryption: Pick<Sdk.PutObjectCommandInput, 'ServerSideEncryption' | 'SSEKMSKeyId'>;

  static async open(settings: S3Settings, logger: Logger): Promise<S3Connection> {
    assertInstalled('s3');
    const sdk = await import('@aws-sdk/client-s3');
    const { NodeHttpHandler } = await import('@smithy/node-http-handler');
    const agent = { keepAlive: true, maxSockets: settings.connections };
    const warnings = sdkLogger(logger);
    const { endpoint, pathStyle = endpoint !== undefined, credentials } = settings;
    // An endpoint of one's own rarely has regions. Elsewhere the SDK looks for one where its other tools do.
    const region = settings.region ?? (endpoint === undefined ? undefined : 'us-east-1');
    const requestHandler = new NodeHttpHandler({
      httpAgent: new Agent(agent),
      httpsAgent: new SecureAgent(agent),
      connectionTimeout: settings.connectTimeout,
      requestTimeout: settings.headersTimeout,
      throwOnRequestTimeout: true,
      socketTimeout: settings.idleTimeout,
      logger: warnings,
    });
    const guard = new BucketGuard(bucketName(settings), logger);
    const handle = requestHandler.handle.bind(requestHandler);
    requestHandler.handle = (request, options) =>
      guard.send(
        () => handle(request, options),
        ({ response }) => response.statusCode,
        options?.abortSignal as { readonly aborted: boolean } | undefined,
      );
    const client = new sdk.S3Client({
      ...(region !== undefined && { region }),
      ...(endpoint !== undefined && { endpoint }),
      ...(credentials !== undefined && { credentials: withoutAbsent(credentials) }),
      forcePathStyle: pathStyle,
      // Integrity is ours. What the SDK would add, many servers refuse.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      expectContinueHeader: false,
      // Repeated by `run`, bodies included.
      maxAttempts: 1,
      logger: warnings,
      requestHandler,
    });
    return new S3Connection(sdk, client, settings, guard);
  }

  private constructor(sdk: typeof Sdk, client: Sdk.S3Client, settings: S3Settings, guard: BucketGuard) {
    this.sdk = sdk;
    this.guard = guard;
    this.client = client;
    this.settings = settings;
    const { encryption } = settings;
    this.encryption =
      encryption === undefined
        ? {}
        : encryption.type === 's3'
          ? { ServerSideEncryption: 'AES256' }
          : { ServerSideEncryption: 'aws:kms', ...(encryption.key !== undefined && { SSEKMSKeyId: encryption.key }) };
  }

  /** The parameters that name an object. */
  readonly object = (key: string): { readonly Bucket: string; readonly Key: string } => ({
    Bucket: this.settings.bucket,
    Key: key,
  });

  /** An object for people. */
  nameOf(key: string): string {
    return `s3://${this.settings.bucket}/${key}`;
  }

  /**
   * Does `work`, again where its failure may pass.
   * @throws EntrepotError `storage`, or the reason of an aborted `signal`
   */
  async run<T>(
    action: string,
    key: string | undefined,
    work: (options: SendOptions) => Promise<T>,
    { signal, attempts = ATTEMPTS }: RunOptions = {},
  ): Promise<T> {
    try {
      return await withRetries(() => work(signal === undefined ? {} : { abortSignal: signal }), { attempts, signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw s3Error(error, action, key === undefined ? bucketName(this.settings) : this.nameOf(key));
    }
  }

  /** The signer of own requests. Where objects are, the SDK says: it knows the addresses of every region. */
  async signer(): Promise<{ readonly signer: S3Signer; readonly address: BucketAddress }> {
    const { config } = this.client;
    const address = await this.#address();
    const signer = await S3Signer.load(address, {
      region: await config.region(),
      credentials: config.credentials,
      now: () => new Date(Date.now() + config.systemClockOffset),
    });
    return { signer, address };
  }

  /** The address to which the SDK would send a request for an object. */
  async #address(): Promise<BucketAddress> {
    const key = 'key';
    let found: BucketAddress | undefined;
    const command = new this.sdk.HeadObjectCommand(this.object(key));
    command.middlewareStack.add(
      () => async (args) => {
        const { protocol, hostname, port, path } = args.request as Required<BucketAddress>;
        found = { protocol, hostname, port, path: path.slice(0, path.length - key.length) };
        // Nothing is sent.
        return { response: {}, output: { $metadata: {} } };
      },
      { step: 'finalizeRequest', priority: 'low', name: 'address' },
    );
    await this.client.send(command);
    return found as unknown as BucketAddress;
  }

  dispose(): void {
    this.client.destroy();
  }
}

function withoutAbsent<T extends { readonly sessionToken?: string | undefined }>({ sessionToken, ...others }: T) {
  return { ...others, ...(sessionToken !== undefined && { sessionToken }) };
}
