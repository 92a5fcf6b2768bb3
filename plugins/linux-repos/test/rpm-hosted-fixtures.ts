import { gunzipSync } from 'node:zlib';
import {
  openTestRepository,
  type TestReply,
  type TestRepository,
  type TestRepositoryOptions,
} from '@entrepot/core/testing';
import { onTestFinished } from 'vitest';
import plugin from '../src/rpm/index.js';
import { LISTS } from '../src/rpm/hosted/keys.js';
import { parseRepomd, type Repomd } from '../src/rpm/repomd.js';
import { sha256, textOf } from './hosted-fixtures.js';
import { rpm, type RpmParts } from './rpm-file-fixtures.js';

/** A hosted repository of packages. */
export async function hostedRpm(
  options: unknown = {},
  more: Partial<TestRepositoryOptions> = {},
): Promise<TestRepository> {
  const repository = await openTestRepository({ plugin, options, ...more, definition: { kind: 'hosted' } });
  onTestFinished(() => repository.close());
  return repository;
}

/** The name of the file of a package. */
export function fileOf({ name = 'hello', version = '1.0', release = '1', architecture = 'x86_64' }: RpmParts): string {
  return `${name}-${version}-${release}.${architecture}.rpm`;
}

/** Puts a package under the name that it should have. @param tree with a slash before it, or nothing */
export async function putRpm({ ask }: TestRepository, parts: RpmParts, tree = '/el9'): Promise<TestReply> {
  return await ask({ method: 'PUT', path: `${tree}/Packages/${fileOf(parts)}`, body: rpm(parts) });
}

/** The `repomd.xml` of a tree. */
export async function repomdOf(repository: TestRepository, tree = '/el9'): Promise<Repomd> {
  return parseRepomd(Buffer.from(await textOf(repository, `${tree}/repodata/repomd.xml`)), 'repomd.xml');
}

/** The lists of a tree by their type, which are as `repomd.xml` says. */
export async function listsOf(
  repository: TestRepository,
  tree = '/el9',
): Promise<Readonly<Record<'primary' | 'filelists' | 'other', string>>> {
  const { items } = await repomdOf(repository, tree);
  const lists: Record<string, string> = {};
  for (const { type, path, checksum, size, openChecksum, openSize } of items) {
    const { status, body } = await repository.ask(`${tree}/${path}`);
    const plain = gunzipSync(body);
    const found = [status, body.length, sha256(body), plain.length, sha256(plain)];
    const expected = [200, size, checksum.hex, openSize, openChecksum?.hex];
    if (found.join(' ') !== expected.join(' ')) throw new Error(`${path}: ${found.join(' ')}`);
    lists[type] = plain.toString();
  }
  return lists as Awaited<ReturnType<typeof listsOf>>;
}

/** The files that the list of packages has, in its order; the other lists have as many. */
export async function listedFiles(repository: TestRepository, tree = '/el9'): Promise<string[]> {
  const lists = await listsOf(repository, tree);
  const files = Array.from(lists.primary.matchAll(/<location href="Packages\/(.*)"\/>/g), ([, file = '']) => file);
  for (const type of LISTS) {
    const list = lists[type];
    const counts = [list.match(/<package /g)?.length ?? 0, Number(/ packages="(\d+)"/.exec(list)?.[1])];
    if (counts.some((count) => count !== files.length)) throw new Error(`${type} has ${counts.join(' and ')} packages`);
  }
  return files;
}
