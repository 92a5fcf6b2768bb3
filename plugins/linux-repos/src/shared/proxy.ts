import {
  EntrepotError,
  type Clock,
  type Integrity,
  type Logger,
  type RepositoryFacts,
  type RequestHead,
  type ResolveContext,
  type Resource,
  type Root,
  type Route,
} from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import type { Newest } from './age.js';
import { BeingSigned } from './detached.js';
import { distributionAt } from './distribution.js';
import { NO_FILES, type Format, type ListedFile, type Listing, type Signatures } from './format.js';
import { generationAt, mainOf, type Generation, type Generations } from './generations.js';
import { Leases } from './leases.js';
import type { MirrorLists } from './mirror-lists.js';
import type { RepositoryOptions } from './options.js';
import { ownMirrors } from './own-mirrors.js';
import type { PackageList } from './package-list.js';
import {
  auxiliary,
  generations,
  GENERATIONS,
  index,
  indexAt,
  INDEXES,
  indexKey,
  listing,
  mainPackageList,
  packageList,
  pointer,
  rootsOf,
  upstreamPath,
} from './resources.js';
import { RootMemory } from './root-memory.js';
import { renew } from './renew.js';
import type { Status } from './status.js';

/** The bound on packages whose index is remembered. */
const MOST_KNOWN = 20_000;

/** A root whose archive may have a file. */
interface RootState {
  readonly root: string;
  /** The names by which its lists may have the file. */
  readonly names: readonly string[];
  /** The generations, in the order in which they are looked into. */
  readonly list: readonly Generation[];
}

/** Parts of a proxy. */
export interface ProxyParts {
  readonly options: RepositoryOptions;
  readonly repository: Pick<RepositoryFacts, 'upstreams'>;
  readonly signatures: Signatures;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Interval of refreshes that nobody asks for, where the options do not say; milliseconds. Absent: an hour. */
  readonly refreshInterval?: number | undefined;
  /** Absent: the upstreams are the mirrors. */
  readonly mirrorLists?: MirrorLists | undefined;
}

const HOUR = 3_600_000;

/** The time after a refresh within which a missing package does not cause another one; milliseconds. */
const REFRESHED_LATELY = 30_000;

/** A proxy of repositories of one format. */
export class RepositoryProxy {
  readonly format: Format;
  readonly options: RepositoryOptions;
  readonly signatures: Signatures;
  readonly clock: Clock;
  /** Interval of refreshes that nobody asks for; milliseconds. 0: never. */
  readonly refreshInterval: number;
  readonly roots: RootMemory;
  readonly mirrorLists: MirrorLists | undefined;
  readonly beingSigned = new BeingSigned();
  readonly #logger: Logger;
  /** The newest generation of each root that was refreshed: a mirror with an older one is passed over. */
  readonly newest = new Map<string, Newest>();
  /** Hosts that a path may begin with, where each upstream is a server of its own. */
  readonly #scopes: ReadonlySet<string>;
  /** The path of the first upstream. */
  readonly #place: string;
  readonly #leases: Leases;
  #kept: { readonly keys: readonly string[]; readonly set: ReadonlySet<string> } | undefined;
  /** The roots that packages were found in lately, by their paths. */
  readonly #rootOfPath = new Lru<string>(MOST_KNOWN);
  /** Packages that were found there, by the generation that was looked into first. */
  readonly #known = new Lru<Route>(MOST_KNOWN);
  /** The roots that they were found in, by their keys. */
  readonly #rootOfFound = new Lru<string>(MOST_KNOWN);

  constructor(format: Format, parts: ProxyParts) {
    const { options, repository, signatures, clock, logger, refreshInterval = HOUR, mirrorLists } = parts;
    this.format = format;
    this.options = options;
    this.signatures = signatures;
    this.clock = clock;
    this.refreshInterval = options.refreshInterval ?? refreshInterval;
    this.roots = new RootMemory(options.roots);
    this.mirrorLists = mirrorLists;
    this.#logger = logger;
    this.#scopes = new Set(repository.upstreams.flatMap(({ scope }) => scope ?? []));
    this.#place = URL.parse(repository.upstreams[0]?.url ?? '')?.pathname ?? '';
    this.#leases = new Leases(options.leaseFor);
  }

  /** Logs that a root has come into another state. */
  tell(root: string, before: Root['state'], { state, error }: Status): void {
    if (state === before) return;
    const level = state === 'active' ? 'info' : 'warn';
    this.#logger[level]({ root: root || '.', before, state, reason: error }, 'a root is in another state');
  }

  route(head: RequestHead): Route | undefined {
    return this.placed(this.format.route(head));
  }

  /** Names the place that the mirrors have it at: below the host that its path begins with, where the upstreams are several servers. */
  placed<Placed extends Route | undefined>(route: Placed): Placed {
    if (route === undefined || !('path' in route) || route.path === undefined) return route;
    const { path } = route;
    const scope = decodeURIComponent(path.slice(0, Math.max(0, path.indexOf('/'))));
    if (!this.#scopes.has(scope)) return route;
    const below = (one: string): string => one.slice(one.indexOf('/') + 1);
    return { ...route, path: below(path), otherPaths: route.otherPaths?.map(below), scope };
  }

  /** A pointer document of a root, as a client gets it now. The client keeps its generation. */
  async pointer({ attributes }: Resource, context: ResolveContext): Promise<Resource | undefined> {
    const { root, name, asOf } = attributes as { root: string; name: string; asOf?: number };
    const isMain = this.format.mains(root).includes(name);
    const current = await this.#current(root, { asOf, isMain }, context);
    if (asOf === undefined && isMain && current !== undefined) this.#leases.take(context, root, current.id);
    const sha256 = current?.pointers[name];
    return sha256 === undefined ? undefined : pointer(root, name, sha256);
  }

  /** A list of mirrors that names this server alone. The client gets the generation whose sum it has. */
  async ownMirrors({ attributes }: Resource, context: ResolveContext): Promise<Resource | undefined> {
    const { root, name, asOf } = attributes as { root: string; name: string; asOf?: number };
    const current = await this.#current(root, { asOf, isMain: true }, context);
    if (current === undefined) return undefined;
    const { client, connection, now } = context;
    if (asOf === undefined) this.#leases.take({ client, connection, now, isHead: true }, root, current.id);
    return ownMirrors(root, name, current.id, asOf);
  }

  /** The generation of a root that a client gets now. @param isMain whether it asks for the main document, or for one that belongs to it */
  async #current(
    root: string,
    { asOf, isMain }: { readonly asOf: number | undefined; readonly isMain: boolean },
    context: ResolveContext,
  ): Promise<Generation | undefined> {
    const time = asOf ?? this.options.frozen.get(root);
    await this.roots.require(root, context);
    const begun = isMain ? this.#leases.probed(context, root) : this.#leases.of(context, root);
    const kept = await this.#generations(root, context, time !== undefined || begun !== undefined);
    const { list, status } = kept;
    if (time !== undefined) return generationAt(list, time);
    this.roots.noteUse(root, context.now, kept);
    return status.state === 'removed' ? undefined : (list.find(({ id }) => id === begun) ?? list[0]);
  }

  /** An index file that is asked for by its name: of the generation that the client has begun to read. */
  async indexFile(resource: Resource, context: ResolveContext): Promise<Resource | undefined> {
    const { attributes } = resource;
    const { path, sum, asOf } = attributes as { path: string; sum?: Integrity; asOf?: number };
    if (sum !== undefined && this.#keptIndexes(await context.keys(INDEXES)).has(indexKey(sum)))
      return indexAt(path, sum);
    const { format } = this;
    const root = (await this.#rootOf(path, context)) ?? format.guessedRoot(path);
    if (root === undefined) return auxiliary(path);
    await this.roots.require(root, context);
    const name = path.slice(format.pathOf(root, '').length);
    // Who has begun to read one gets that, whatever the mirrors have by now.
    const isChosen =
      asOf !== undefined || this.options.frozen.has(root) || this.#leases.of(context, root) !== undefined;
    const { list } = await this.#generations(root, context, isChosen);
    for (const generation of this.#inOrder(root, list, context, asOf)) {
      const read = await this.#listing(root, generation, context);
      if (sum !== undefined) {
        // A mirror may have packages by their sums, too, and policy judges those by their paths.
        const file = format.fileBySum?.(read, sum.hex);
        if (file === undefined) continue;
        const [own] = Array.from(read.files).find(([, other]) => other.integrity.hex === file.integrity.hex) ?? [];
        const otherPaths = own === undefined ? [] : [upstreamPath(format.pathOf(root, own))];
        return { ...indexAt(path, file.integrity), otherPaths };
      }
      const file = read.files.get(name);
      if (file !== undefined) return index(format, root, name, file, read);
      const other = format.unlisted(name);
      if (other !== 'earlier') return other === 'auxiliary' ? auxiliary(path) : undefined;
    }
    return undefined;
  }

  /** A package, by the index that lists it. */
  async file({ attributes }: Resource, context: ResolveContext, isNewestFirst = false): Promise<Route | undefined> {
    const { path, asOf } = attributes as { path: string; asOf?: number };
    const listOf = async (root: string): Promise<readonly Generation[] | undefined> => {
      const found = await this.#generations(root, context, true).catch(notThere);
      return found === undefined || isNewestFirst ? found?.list : this.#inOrder(root, found.list, context, asOf);
    };
    // Hundreds of suites may be in one archive: the one that has listed it is looked at first, and as long as that is as it was, alone.
    const kept = this.#keptIndexes(await context.keys(INDEXES));
    const lately = this.#rootOfPath.get(path);
    const [first] = (lately !== undefined && (await listOf(lately))) || [];
    const known = first && this.#known.get(placeOf(path, lately, first, kept));
    if (known !== undefined) return known;
    const states: RootState[] = [];
    for (const root of await this.#roots(context)) {
      const names = this.format.namesBelow(path, root);
      const list = names.length === 0 ? undefined : await listOf(root);
      if (list !== undefined) states.push({ root, names, list });
    }
    const found = await this.#find(path, states, kept, context);
    if (found !== undefined) {
      const { route, state } = found;
      this.#rootOfPath.set(path, state.root);
      this.#known.set(placeOf(path, state.root, state.list[0] as Generation, kept), route);
      if ('key' in route) this.#rootOfFound.set(route.key, state.root);
      return route;
    }
    if (this.options.unindexed === 'revalidate' || !this.format.isPackage(path)) return auxiliary(path);
    throw new EntrepotError('not-found', `no index that was asked for here lists ${path}`, {
      code: 'NOT_INDEXED',
    });
  }

  /**
   * A package that no mirror has, by the newest index that they have now. `undefined`: it was asked for lately, or the root is frozen.
   * @param missing the package by the index of before
   */
  async fileAfterRefresh(resource: Resource, missing: Resource, context: ResolveContext): Promise<Route | undefined> {
    const root = this.#rootOfFound.get(missing.key);
    if (root === undefined || resource.attributes?.['asOf'] !== undefined || this.options.frozen.has(root))
      return undefined;
    const { status } = await this.#generations(root, context, true);
    const isNew = Math.abs(context.now - status.triedAt) < REFRESHED_LATELY;
    if (!isNew) await renew(root, context);
    const found = await this.file(resource, context, true);
    return isNew && found !== undefined && 'key' in found && found.key === missing.key ? undefined : found;
  }

  /** The keys as a set, which is made once for each list of them. */
  #keptIndexes(keys: readonly string[]): ReadonlySet<string> {
    if (this.#kept?.keys !== keys) this.#kept = { keys, set: new Set(keys) };
    return this.#kept.set;
  }

  /**
   * Looks first into the generation of each root that the client reads, then into others; at last into lists of the newest ones that are
   * not here, where the path says which.
   */
  async #find(
    path: string,
    states: readonly RootState[],
    kept: ReadonlySet<string>,
    context: ResolveContext,
  ): Promise<{ readonly route: Route; readonly state: RootState } | undefined> {
    const { format } = this;
    const lookIn = async (age: number, listsOf: (read: Listing, state: RootState, main: string) => Resource[]) => {
      for (const state of states) {
        const generation = state.list[age];
        if (generation === undefined) continue;
        const read = await this.#listing(state.root, generation, context);
        for (const list of listsOf(read, state, mainOf(format, state.root, generation.pointers).sha256)) {
          const { document } = await context.document<PackageList>(list);
          const row = state.names.map((name) => document.find(name)).find((found) => found !== undefined);
          if (row === undefined) continue;
          return { route: format.artifact(path, row, this.#distributionOf(read, state.root)), state };
        }
      }
      return undefined;
    };
    const depth = Math.max(0, ...states.map(({ list }) => list.length));
    const seen = new Set<string>();
    const news = ({ files, packageLists }: Listing, _state: RootState, main: string): Resource[] => {
      const lists = packageLists.map((name) => packageList(files.get(name) as ListedFile));
      const here = format.read === undefined ? [mainPackageList(main)] : lists.filter(({ key }) => kept.has(key));
      return here.filter(({ key }) => !seen.has(key) && seen.add(key));
    };
    for (let age = 0; age < depth; age += 1) {
      const found = await lookIn(age, news);
      if (found !== undefined) return found;
    }
    return await lookIn(0, (read, { root }) =>
      format
        .likelyLists(path, read)
        .map((name) => [name, read.files.get(name) as ListedFile] as const)
        .filter(([, file]) => !kept.has(indexKey(file.integrity)))
        .map(([name, file]) => this.placed({ ...index(format, root, name, file, read), class: 'packages' })),
    );
  }

  /** The generations in the order in which they are looked into: first the one that is meant, or that the client has begun to read. */
  #inOrder(root: string, list: readonly Generation[], context: ResolveContext, asOf?: number): readonly Generation[] {
    const time = asOf ?? this.options.frozen.get(root);
    const leased = time === undefined ? this.#leases.of(context, root) : undefined;
    const first = time === undefined ? list.find(({ id }) => id === leased) : generationAt(list, time);
    return first === undefined ? list : [first, ...list.filter((one) => one !== first)];
  }

  async #generations(root: string, context: ResolveContext, cached = false): Promise<Generations> {
    return (await context.document<Generations>(generations(root, cached ? 'never' : undefined))).document;
  }

  async #listing(root: string, generation: Generation, context: ResolveContext): Promise<Listing> {
    if (this.format.read === undefined) return NO_FILES;
    const { name, sha256 } = mainOf(this.format, root, generation.pointers);
    return (await context.document<Listing>(listing(root, name, sha256))).document;
  }

  #distributionOf(read: Listing, root: string): string | undefined {
    return this.options.distribution ?? read.distribution ?? distributionAt(`${this.#place}/${root}`);
  }

  async #roots(context: ResolveContext): Promise<readonly string[]> {
    return rootsOf(await context.keys(GENERATIONS));
  }

  async #rootOf(path: string, context: ResolveContext): Promise<string | undefined> {
    const roots = await this.#roots(context);
    const around = roots.filter((root) => path.startsWith(this.format.pathOf(root, '')));
    return around.sort((one, other) => other.length - one.length)[0];
  }
}

/** Names a package by its path, by the generation of its root that is looked into first, and by the lists that are here. */
function placeOf(path: string, root: string | undefined, { id }: Generation, kept: ReadonlySet<string>): string {
  return `${id} ${kept.size} ${root} ${path}`;
}

/** Leaves out what is not there. @throws other errors */
export function notThere(error: unknown): undefined {
  if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
  throw error;
}
