import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy } from '@fastify/busboy';
import type { Content } from '@entrepot/core';
import { ChartError } from './chart-error.js';

const MAX_PARTS = 100;

/** A file of a form. */
export interface FormFile {
  readonly field: string;
  readonly bytes: Buffer;
}

/** Whether a body of this type is a form (RFC 7578). */
export function isForm(mediaType: string | undefined): boolean {
  return /^multipart\/form-data\s*(?:;|$)/i.test(mediaType ?? '');
}

/**
 * Reads the files of a form into memory: together they are no larger than the form.
 * @param mediaType with the boundary
 * @throws ChartError for a malformed form
 */
export async function readForm(mediaType: string, content: Pick<Content, 'stream'>): Promise<FormFile[]> {
  const files: FormFile[] = [];
  let tooMany = false;
  try {
    const form = new Busboy({
      headers: { 'content-type': mediaType },
      limits: { parts: MAX_PARTS },
      // As for ChartMuseum, a part without a file name is no file, whatever its type.
      isPartAFile: (_field, _type, fileName) => fileName !== undefined,
    });
    form.on('partsLimit', () => {
      tooMany = true;
    });
    form.on('file', (field, file) => {
      const pieces: Buffer[] = [];
      file.on('data', (piece: Buffer) => pieces.push(piece));
      file.on('end', () => files.push({ field, bytes: Buffer.concat(pieces) }));
      // A form that ends inside of a file says so twice; nobody listening here would end the process.
      file.on('error', () => {});
    });
    await pipeline(Readable.from(content.stream(), { objectMode: false }), form);
  } catch (error) {
    throw new ChartError(`expected a form that is whole: ${(error as Error).message}`);
  }
  if (tooMany) throw new ChartError(`expected a form of ${MAX_PARTS} parts at most`);
  return files;
}
