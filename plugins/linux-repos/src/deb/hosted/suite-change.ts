import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { EntrepotError, type Expectation, type HostedContext, type ReceivedEntry } from '@entrepot/core';
import { printState, readReplaced, withReplaced } from '../../shared/hosted/replaced-files.js';
import { sha256Of } from '../../shared/hosted/sums.js';
import type { DebHosted } from './hosted.js';
import { KEY, listName } from './keys.js';
import { withStanzas, type StanzaEdit } from './package-list.js';
import { rebuildList } from './rebuild-list.js';
import { NEW_SUITE, stateOf, type IndexFile, type SuiteState } from './suite-state.js';

/** A package that a list gets, or loses. */
export interface PackageEdit extends StanzaEdit {
  readonly component: string;
  readonly architecture: string;
}

/** The next state of a suite, as a change has it. */
interface Publication {
  readonly replace: readonly ReceivedEntry[];
  readonly remove: readonly string[];
  readonly expect: readonly Expectation[];
}

/** The largest list that is changed, in bytes: several times that of Debian. */
const LARGEST_LIST = 512 * 1024 * 1024;

/** Hooks that change suites are given this, among other things. */
type ChangeContext = Pick<HostedContext, 'find' | 'list' | 'content'>;

/**
 * Publishes the next state of a suite: the lists that change, and the state that its Release file is made from, at once. Costs what
 * those lists cost to copy, sum and compress; no package is read again.
 */
export async function publishSuite(
  suite: string,
  edits: readonly PackageEdit[],
  context: ChangeContext,
  self: DebHosted,
): Promise<Publication> {
  const key = KEY.state(suite);
  const kept = await context.find(key);
  const before = kept === undefined ? NEW_SUITE : stateOf(kept);
  const lists = new Lists(suite, before, context);
  const components = union(
    before.components,
    edits.map(({ component }) => component),
  );
  const architectures = union(
    before.architectures,
    self.options.architectures,
    edits.flatMap(({ architecture, stanza }) => (architecture === 'all' || stanza === undefined ? [] : [architecture])),
  );
  // Those for all come first: the list of a new architecture begins with them.
  for (const component of components) {
    for (const architecture of ['all', ...architectures]) {
      const isIn = (edit: PackageEdit) =>
        edit.component === component && (edit.architecture === 'all' || edit.architecture === architecture);
      await lists.edit(component, architecture, edits.filter(isIn));
    }
  }
  const now = self.clock.now();
  // apt does not go back in time, and the clock of another replica may be ahead.
  const date = Math.max(now, before.date);
  const state: SuiteState = { date, components, architectures, files: lists.files };
  const { keepGenerations, leaseFor } = self.options;
  const current = new Set(keysOf(suite, state));
  const { kept: replaced, gone } = withReplaced(
    kept === undefined ? [] : await readReplaced(context.content(kept)),
    { at: now, keys: keysOf(suite, before).filter((one) => !current.has(one)) },
    current,
    { keep: keepGenerations - 1, since: now - leaseFor },
  );
  const attributes = { ...state };
  const stored = { key, bytes: printState(state, replaced), mediaType: 'application/json', attributes };
  return {
    replace: [...lists.written, stored],
    remove: gone,
    expect: [{ key, digest: kept?.digest }],
  };
}

/** The lists of a suite, some of them changed. */
class Lists {
  readonly #suite: string;
  readonly #before: SuiteState;
  readonly #context: ChangeContext;
  readonly #files = new Map<string, IndexFile>();
  readonly #forAll = new Map<string, Buffer>();
  readonly written: ReceivedEntry[] = [];

  constructor(suite: string, before: SuiteState, context: ChangeContext) {
    this.#suite = suite;
    this.#before = before;
    this.#context = context;
  }

  /** All of them, by name. */
  get files(): Readonly<Record<string, IndexFile>> {
    return Object.fromEntries([...this.#files].sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  async edit(component: string, architecture: string, edits: readonly PackageEdit[]): Promise<void> {
    const name = listName({ component, architecture });
    const isThere = this.#before.files[name] !== undefined;
    if (isThere && edits.length === 0) return this.#keep(name);
    const first = isThere ? await this.#read(component, architecture) : await this.#beginning(component, architecture);
    const list = withStanzas(first, edits) ?? first;
    if (architecture === 'all') this.#forAll.set(component, list);
    await this.#write(name, list, 'text/plain');
    await this.#write(`${name}.gz`, await promisify(gzip)(list), 'application/gzip');
  }

  async #beginning(component: string, architecture: string): Promise<Buffer> {
    if (architecture === 'all') return Buffer.alloc(0);
    return this.#forAll.get(component) ?? (await this.#read(component, 'all'));
  }

  #keep(name: string): void {
    for (const one of [name, `${name}.gz`]) this.#files.set(one, this.#before.files[one] as IndexFile);
  }

  async #read(component: string, architecture: string): Promise<Buffer> {
    const name = listName({ component, architecture });
    const { sha256 } = this.#before.files[name] as IndexFile;
    const entry = await this.#context.find(KEY.index(this.#suite, name, sha256));
    try {
      if (entry !== undefined) {
        const bytes = await this.#context.content(entry).bytes(LARGEST_LIST);
        return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      }
    } catch (error) {
      if (!(error instanceof EntrepotError && error.kind === 'storage')) throw error;
    }
    return await rebuildList({ suite: this.#suite, component, architecture }, this.#context);
  }

  async #write(name: string, bytes: Buffer, mediaType: string): Promise<void> {
    const sha256 = await sha256Of(bytes);
    this.#files.set(name, { sha256, size: bytes.length });
    this.written.push({ key: KEY.index(this.#suite, name, sha256), bytes, mediaType });
  }
}

function keysOf(suite: string, { files }: SuiteState): string[] {
  return Object.entries(files).map(([name, { sha256 }]) => KEY.index(suite, name, sha256));
}

function union(...lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())].sort();
}
