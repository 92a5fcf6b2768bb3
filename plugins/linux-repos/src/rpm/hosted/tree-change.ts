import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { EntrepotError, type Expectation, type HostedContext, type ReceivedEntry } from '@entrepot/core';
import { printState, readReplaced, withReplaced } from '../../shared/hosted/replaced-files.js';
import { sha256Of } from '../../shared/hosted/sums.js';
import type { AdditionName } from './additions.js';
import type { RpmHosted } from './hosted.js';
import { KEY, LISTS, type DocumentName, type ListName } from './keys.js';
import { documentOf, withPackages, type PackageEdit } from './lists.js';
import { rebuildLists, type KeptLists } from './rebuild-lists.js';
import { stateOf, type ListDocument, type TreeState } from './tree-state.js';

/** The next state of a tree, as a change has it. */
interface Publication {
  readonly replace: readonly ReceivedEntry[];
  readonly remove: readonly string[];
  readonly expect: readonly Expectation[];
}

/** The largest list that is changed, in bytes: that of 50,000 packages with 200 files each. */
const LARGEST_LIST = 512 * 1024 * 1024;

/** The changes of a publication. */
export interface TreeEdits {
  readonly packages?: readonly PackageEdit[] | undefined;
  /** Metadata besides. `bytes` absent: it goes. */
  readonly addition?: { readonly name: AdditionName; readonly bytes?: Buffer | undefined } | undefined;
}

/** Hooks that change trees are given this, among other things. */
type ChangeContext = Pick<HostedContext, 'find' | 'list' | 'content'>;

/**
 * Publishes the next state of a tree: its lists, and the state that its repomd.xml is made from, at once. Costs what the lists cost to
 * copy, sum and compress; no package is read again.
 */
export async function publishTree(
  tree: string,
  { packages: edits = [], addition }: TreeEdits,
  context: ChangeContext,
  self: RpmHosted,
): Promise<Publication> {
  const key = KEY.state(tree);
  const kept = await context.find(key);
  const before = kept && stateOf(kept);
  const { lists, packages } = await readLists(tree, before, context);
  const written: ReceivedEntry[] = [];
  const documents: Partial<Record<ListName, ListDocument>> = {};
  let count = packages;
  for (const name of LISTS) {
    const changed = withPackages(lists[name], name, edits);
    const list = changed?.list ?? lists[name];
    count = packages + (changed?.more ?? 0);
    const { document, bytes } = await packed(documentOf(list, name, count));
    documents[name] = document;
    written.push(
      { key: KEY.list(tree, name), bytes: list, mediaType: 'application/xml' },
      { key: KEY.document(tree, name, document.sha256), bytes, mediaType: 'application/gzip' },
    );
  }
  const additions = { ...before?.additions };
  if (addition !== undefined) {
    const { name, bytes: plain } = addition;
    delete additions[name];
    if (plain !== undefined) {
      const { document, bytes } = await packed(plain);
      additions[name] = document;
      written.push({ key: KEY.document(tree, name, document.sha256), bytes, mediaType: 'application/gzip' });
    }
  }
  const now = self.clock.now();
  // Clients do not go back in time, and the clock of another replica may be ahead.
  const date = Math.max(now, before?.date ?? 0);
  const state: TreeState = { date, packages: count, documents: documents as TreeState['documents'], additions };
  const { keepGenerations, leaseFor } = self.options;
  const current = new Set(keysOf(tree, state));
  const { kept: replaced, gone } = withReplaced(
    kept === undefined ? [] : await readReplaced(context.content(kept)),
    { at: now, keys: keysOf(tree, before).filter((one) => !current.has(one)) },
    current,
    { keep: keepGenerations - 1, since: now - leaseFor },
  );
  const stored = { key, bytes: printState(state, replaced), mediaType: 'application/json', attributes: { ...state } };
  return {
    replace: [...written, stored],
    remove: gone,
    expect: [{ key, digest: kept?.digest }],
  };
}

async function readLists(tree: string, before: TreeState | undefined, context: ChangeContext): Promise<KeptLists> {
  const empty = Buffer.alloc(0);
  if (before === undefined) return { lists: { primary: empty, filelists: empty, other: empty }, packages: 0 };
  const lists: Partial<Record<ListName, Buffer>> = {};
  for (const name of LISTS) {
    const list = await readList(tree, name, context);
    if (list === undefined) return await rebuildLists(tree, context);
    lists[name] = list;
  }
  return { lists: lists as KeptLists['lists'], packages: before.packages };
}

/** Reads a list as it is kept. `undefined`: its bytes are lost. */
async function readList(tree: string, name: ListName, { find, content }: ChangeContext): Promise<Buffer | undefined> {
  const entry = await find(KEY.list(tree, name));
  if (entry === undefined) return undefined;
  try {
    const bytes = await content(entry).bytes(LARGEST_LIST);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'storage') return undefined;
    throw error;
  }
}

/** Packs a document, off the event loop. */
async function packed(plain: Buffer): Promise<{ readonly document: ListDocument; readonly bytes: Buffer }> {
  const bytes = await promisify(gzip)(plain);
  const [sha256, openSha256] = [await sha256Of(bytes), await sha256Of(plain)];
  return { document: { sha256, size: bytes.length, openSha256, openSize: plain.length }, bytes };
}

function keysOf(tree: string, state: TreeState | undefined): string[] {
  if (state === undefined) return [];
  const documents = [...Object.entries(state.documents), ...Object.entries(state.additions ?? {})];
  return documents.map(([name, { sha256 }]) => KEY.document(tree, name as DocumentName, sha256));
}
