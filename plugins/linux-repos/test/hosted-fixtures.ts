import { createHash } from 'node:crypto';
import {
  openTestRepository,
  type TestReply,
  type TestRepository,
  type TestRepositoryOptions,
} from '@entrepot/core/testing';
import { debFile } from '@entrepot/fixtures/deb-archive';
import { generateKey } from 'openpgp';
import { onTestFinished } from 'vitest';
import plugin from '../src/deb/index.js';

/** A package; other `data` is another file. */
export function deb(name: string, version: string, architecture = 'amd64', data = 'data', source?: string): Buffer {
  return debFile({ name, version, architecture, source }, Buffer.from(data));
}

/** A key of an archive, older than what it signs. */
export async function archiveKey(passphrase?: string) {
  return await generateKey({
    userIDs: [{ name: 'Archive', email: 'archive@example.com' }],
    date: new Date(Date.UTC(2025, 0, 1)),
    ...(passphrase !== undefined && { passphrase }),
  });
}

/** A hosted repository of packages. */
export async function hosted(
  options: unknown = {},
  more: Partial<TestRepositoryOptions> = {},
): Promise<TestRepository> {
  const repository = await openTestRepository({ plugin, options, ...more, definition: { kind: 'hosted' } });
  onTestFinished(() => repository.close());
  return repository;
}

/** Puts a package to `pool/stable/main`, under the name that it should have. */
export async function put(
  { ask }: TestRepository,
  body: Buffer,
  file: string,
  folder = '/pool/stable/main',
): Promise<TestReply> {
  return await ask({ method: 'PUT', path: `${folder}/${file}`, body });
}

/** The text of a document. */
export async function textOf({ ask }: TestRepository, path: string): Promise<string> {
  const { status, body } = await ask(path);
  if (status !== 200) throw new Error(`${path}: ${status} ${body.toString()}`);
  return body.toString();
}

/** The files that a Release file lists: sum and size by name. */
export function listed(release: string): Map<string, { readonly sum: string; readonly size: number }> {
  const lines = release.matchAll(/^ ([0-9a-f]{64}) (\d+) (\S+)$/gm);
  return new Map(Array.from(lines, ([, sum = '', size, name = '']) => [name, { sum, size: Number(size) }]));
}

/** A sum in hex. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
