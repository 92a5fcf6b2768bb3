import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { packTar, type TestRequest } from '@entrepot/core/testing';

export const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A line of an index, with its end. */
export function line(name: string, vers: string, bytes: string | Uint8Array, more: object = {}): string {
  const fields = { name, vers, deps: [], cksum: sha256(bytes), features: {}, yanked: false, links: null, ...more };
  return `${JSON.stringify(fields)}\n`;
}

/** A packed crate; another `body` is another archive. */
export function crate(name: string, version: string, body = '', manifest = manifestOf(name, version)): Buffer {
  const files = { 'Cargo.toml': manifest, 'src/lib.rs': body };
  const packed = Object.entries(files).map(([path, content]) => ({ name: `${name}-${version}/${path}`, content }));
  return gzipSync(packTar(packed));
}

export function manifestOf(name: string, version: string): string {
  return `[package]\nname = ${JSON.stringify(name)}\nversion = ${JSON.stringify(version)}\nedition = "2021"\n`;
}

/** The body of a publication. */
export function publication(
  metadata: unknown,
  archive: Uint8Array,
  lengths: { json?: number; crate?: number } = {},
): Buffer {
  const json = Buffer.from(typeof metadata === 'string' ? metadata : JSON.stringify(metadata));
  return Buffer.concat([u32(lengths.json ?? json.length), json, u32(lengths.crate ?? archive.length), archive]);
}

/** A request of `cargo publish`. */
export function put(body: Uint8Array): TestRequest {
  return { method: 'PUT', path: '/api/v1/crates/new', body };
}

export function publish(
  name: string,
  vers: string,
  archive: Uint8Array = crate(name, vers),
  more: object = {},
): TestRequest {
  return put(publication({ name, vers, deps: [], features: {}, ...more }, archive));
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
