import { parentPort } from 'node:worker_threads';
import { hashZip } from './dirhash.js';
import { ZipError } from './zip-reader.js';

/** What a worker is asked. */
export interface HashTask {
  /** The path of the zip, or its bytes. */
  readonly source: string | Uint8Array;
  readonly module: string;
  readonly version: string;
}

/** What a worker answers: `refused` says what is wrong with the zip. */
export type HashAnswer =
  | { readonly hash: string; readonly goModHash?: string | undefined }
  | { readonly refused: string }
  | { readonly failed: string };

parentPort?.on('message', ({ source, module, version }: HashTask) => {
  hashZip(source, module, version)
    .catch((error: Error): HashAnswer =>
      error instanceof ZipError ? { refused: error.message } : { failed: error.message },
    )
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    .then((answer) => parentPort?.postMessage(answer));
});
