import { setTimeout as wait } from 'node:timers/promises';
import type { Entry } from '../../api/entry-index.js';
import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import type { ReceivedEntry } from '../../api/hosted.js';
import { WorkTurns } from '../../formats/work-turns.js';
import type { CleanupContext, Retirement, StoredVersion } from '../../plugin/cleanup.js';
import type { ReplyParts } from '../reply/reply-parts.js';
import { hook } from '../request/call-hook.js';
import type { CleanupHooks } from '../request/protocol.js';
import type { DueVersion, HostedCleanup, Retired, RetireOptions } from '../store/repository.js';
import { digestOfGiven } from './given-bytes.js';
import { listEntries } from './list-entries.js';
import { storeParts } from './store-parts.js';

/** The number of times that a removal is computed because of other changes, before its versions stay. */
const MAX_TRIES = 20;
/** The longest pause between two tries, in milliseconds. */
const MAX_PAUSE = 100;
/** The number of entries that are looked up at once. */
const LOOKUPS = 20;

const NOTHING: Retired = { retired: [], removed: [], replaced: [], added: [], spared: [] };

type Parts = Pick<ReplyParts, 'definition' | 'services'>;
type SparedVersion = Retired['spared'][number];

/** Creates the removal of versions by rules. `undefined`: the format has none. */
export function createCleanup({ definition, services }: Parts): HostedCleanup | undefined {
  const hooks = definition.protocol.cleanup;
  return hooks && new Cleaning({ definition, services }, hooks);
}

class Cleaning implements HostedCleanup {
  readonly #parts: Parts;
  readonly #hooks: CleanupHooks;
  readonly #repository: string;
  readonly #context: CleanupContext;

  constructor(parts: Parts, hooks: CleanupHooks) {
    const { definition, services } = parts;
    this.#parts = parts;
    this.#hooks = hooks;
    this.#repository = definition.name;
    const turns = new WorkTurns();
    this.#context = {
      // Not from memory, which may be a second behind another replica.
      async find(key) {
        // An embedded database answers at once: requests are served in between.
        await turns.pause();
        return await services.entries.find(definition.name, key);
      },
      list: (prefix) => listEntries(services.entries, definition.name, { prefix }),
      content: (entry) => services.storage.blobs.content(entry),
      usedWithin: async (entries, duration) => await this.#usedSince(entries, services.clock.now() - duration),
    };
  }

  async *stored(): AsyncGenerator<readonly StoredVersion[]> {
    const { id } = this.#parts.definition.plugin;
    try {
      yield* this.#hooks.stored(this.#context);
    } catch (error) {
      throw asEntrepotError(error, 'plugin', `stored of plugin ${id} failed`);
    }
  }

  async lastUses(versions: readonly StoredVersion[]): Promise<readonly number[]> {
    const served = await this.#servedUntil(versions.flatMap(({ entry, servedBy = [] }) => [entry.key, ...servedBy]));
    return versions.map(({ entry, servedBy = [] }) =>
      Math.max(entry.fetchedAt, ...[entry.key, ...servedBy].map((key) => served.get(key) ?? 0)),
    );
  }

  async retire(due: readonly DueVersion[], options: RetireOptions = {}): Promise<Retired> {
    const { standing = [], dryRun = false, isPinned = () => false } = options;
    const { id } = this.#parts.definition.plugin;
    const spared: SparedVersion[] = [];
    let left = due;
    for (let tries = 0; left.length > 0 && tries < MAX_TRIES; tries += 1) {
      if (tries > 0) await wait(Math.random() * Math.min(MAX_PAUSE, 2 * tries));
      // First of all: what is read from here on is of this revision, or of one that is in the way.
      const at = await this.#parts.services.entries.revision(this.#repository);
      left = await this.#stillDue(left, spared);
      if (left.length === 0 || !(await this.#areThere(standing))) break;
      const versions = left.map(({ version }) => version);
      const made = await hook(id, 'retire', () => this.#hooks.retire(versions, this.#context));
      this.#check(made);
      const removed = await this.#find(made.remove ?? []);
      if (removed.some(isPinned)) return withSpared(await this.#retireApart(left, options), spared);
      const replaced = await this.#find((made.replace ?? []).map(({ key }) => key));
      const going = new Set(made.remove);
      const retired = versions.filter(({ entry }) => going.has(entry.key));
      const needed = versions.filter(({ entry }) => !going.has(entry.key));
      if (retired.length > 0 && !dryRun && !(await this.#carryOut(made, at))) continue;
      spared.push(...needed.map((version) => ({ version, reason: 'needed' as const })));
      if (retired.length === 0) return { ...NOTHING, spared };
      const added = await Promise.all((made.replace ?? []).map(contentOfPart));
      return { retired, removed, replaced, added, spared };
    }
    spared.push(...left.map(({ version }) => ({ version, reason: 'changed' as const })));
    return { ...NOTHING, spared };
  }

  /** Removes those of several versions with which nothing goes that is pinned. They are found by halves. */
  async #retireApart(due: readonly DueVersion[], options: RetireOptions): Promise<Retired> {
    const [first] = due;
    if (first !== undefined && due.length === 1)
      return { ...NOTHING, spared: [{ version: first.version, reason: 'pinned' }] };
    const middle = Math.ceil(due.length / 2);
    const one = await this.retire(due.slice(0, middle), options);
    const other = await this.retire(due.slice(middle), options);
    return {
      retired: [...one.retired, ...other.retired],
      removed: [...one.removed, ...other.removed],
      replaced: [...one.replaced, ...other.replaced],
      added: [...one.added, ...other.added],
      spared: [...one.spared, ...other.spared],
    };
  }

  /** Passes on those that are as they were when the rules were applied to them, and were not used since. */
  async #stillDue(due: readonly DueVersion[], spared: SparedVersion[]): Promise<readonly DueVersion[]> {
    const uses = await this.lastUses(due.map(({ version }) => version));
    const found = new Map((await this.#find(due.map(({ version }) => version.entry.key))).map((one) => [one.key, one]));
    return due.filter(({ version, unusedSince = Infinity }, index) => {
      const { entry } = version;
      const now = found.get(entry.key);
      const isSame = now?.digest === entry.digest && now.fetchedAt === entry.fetchedAt;
      if (isSame && (uses[index] as number) <= unusedSince) return true;
      spared.push({ version, reason: isSame ? 'used' : 'changed' });
      return false;
    });
  }

  async #areThere(entries: readonly Entry[]): Promise<boolean> {
    return (await this.#find(entries.map(({ key }) => key))).length === entries.length;
  }

  /** @returns whether nothing was in the way */
  async #carryOut({ replace = [], remove = [] }: Retirement, at: number): Promise<boolean> {
    const put = await storeParts(this.#parts, replace, undefined);
    const { storage } = this.#parts.services;
    return await storage.entries.change({ repository: this.#repository, expect: [], at, put, remove });
  }

  /** @throws EntrepotError for an invalid result of a hook */
  #check({ replace = [], remove = [] }: Retirement): void {
    const keys = new Set<string>();
    for (const key of [...replace.map((part) => part.key), ...remove]) {
      if (keys.has(key))
        throw new EntrepotError('plugin', `Plugin ${this.#parts.definition.plugin.id} changes ${key} twice`);
      keys.add(key);
    }
  }

  async #find(keys: readonly string[]): Promise<readonly Entry[]> {
    const found: Entry[] = [];
    for (let start = 0; start < keys.length; start += LOOKUPS) {
      const entries = await Promise.all(keys.slice(start, start + LOOKUPS).map((key) => this.#context.find(key)));
      found.push(...entries.filter((entry) => entry !== undefined));
    }
    return found;
  }

  async #usedSince(entries: readonly Entry[], since: number): Promise<ReadonlySet<string>> {
    const served = await this.#servedUntil(entries.map(({ key }) => key));
    const used = entries.filter(({ key, fetchedAt }) => Math.max(fetchedAt, served.get(key) ?? 0) > since);
    return new Set(used.map(({ key }) => key));
  }

  async #servedUntil(keys: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return await this.#parts.services.storage.entries.servedUntil(this.#repository, keys);
  }
}

/** The content that a part brings. @throws EntrepotError for a part without one: there is no body */
async function contentOfPart({ key, bytes, sameAs }: ReceivedEntry): Promise<Pick<Entry, 'digest' | 'size'>> {
  if (sameAs !== undefined) return sameAs;
  if (bytes === undefined) throw new EntrepotError('plugin', `${key} is replaced by nothing`);
  return { digest: await digestOfGiven(bytes), size: bytes.length };
}

function withSpared(result: Retired, spared: readonly SparedVersion[]): Retired {
  return { ...result, spared: [...spared, ...result.spared] };
}
