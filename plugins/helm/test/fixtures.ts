import { packTar } from '@entrepot/core/testing';
import { gzipSync } from 'node:zlib';

/** A packed chart of these files, below the folder `x/`. */
export function chart(files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  return gzipSync(packTar(Object.entries(files).map(([name, content]) => ({ name: `x/${name}`, content }))));
}

/** `bytes` as a stream of pieces. */
export async function* stream(bytes: Uint8Array, piece = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
}

/** All that a generator gives, as text. */
export async function text(pieces: AsyncIterable<Uint8Array | string>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const piece of pieces) parts.push(Buffer.from(piece as string));
  return Buffer.concat(parts).toString();
}
