import { hashZip, type ZipSums } from './dirhash.js';
import { ZipError } from '@entrepot/core/formats';

/** What a worker is asked. */
export interface HashTask {
  /** The path of the zip, or its bytes. */
  readonly source: string | Uint8Array;
  readonly module: string;
  readonly version: string;
}

/** What a worker answers: `refused` says what is wrong with the zip. */
export type HashAnswer = ZipSums | { readonly refused: string };

/** Sums a zip up. */
export async function answerHash({ source, module, version }: HashTask): Promise<HashAnswer> {
  try {
    return await hashZip(source, module, version);
  } catch (error) {
    if (error instanceof ZipError) return { refused: error.message };
    throw error;
  }
}
