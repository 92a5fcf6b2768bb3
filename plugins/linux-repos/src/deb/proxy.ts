import {
  EntrepotError,
  type Clock,
  type RepositoryFacts,
  type RequestHead,
  type ResolveContext,
  type Resource,
  type Route,
} from '@entrepot/core';
import { compileGlob, Lru } from '@entrepot/core/formats';
import { generationAt, type Generation, type Generations } from '../shared/generations.js';
import { Leases } from '../shared/leases.js';
import type { DebOptions } from './options.js';
import type { Packages } from './packages.js';
import type { Release } from './release.js';
import {
  artifact,
  auxiliary,
  belowArchive,
  generations,
  GENERATIONS,
  guessedRoot,
  index,
  isPackage,
  likelyLists,
  packageLists,
  packages,
  pointer,
  sha256Of,
  unlisted,
} from './resources.js';
import { indexKey, route, upstreamPath } from './routes.js';
import type { Signatures } from './signatures.js';

/** The bound on packages whose index is remembered. */
const MOST_KNOWN = 20_000;

/** A root whose archive may have a file. */
interface RootState {
  readonly root: string;
  /** The names by which its indexes may list the file. */
  readonly below: readonly string[];
  /** The generations, in the order in which they are looked into. */
  readonly list: readonly Generation[];
}

/** A proxy of an archive of Debian packages. */
export class DebProxy {
  readonly options: DebOptions;
  readonly signatures: Signatures;
  readonly clock: Clock;
  /** The date of the newest Release file of each root: a mirror with an older one is passed over. */
  readonly newest = new Map<string, number>();
  /** Hosts that a path may begin with, where each upstream is a server of its own. */
  readonly #scopes: ReadonlySet<string>;
  readonly #leases: Leases;
  readonly #mayBeRoot: readonly ((path: string) => boolean)[];
  #kept: { readonly keys: readonly string[]; readonly set: ReadonlySet<string> } | undefined;
  /** Packages that were found lately, by the generations that were looked into. */
  readonly #known = new Lru<Resource>(MOST_KNOWN);

  constructor(
    options: DebOptions,
    { upstreams }: Pick<RepositoryFacts, 'upstreams'>,
    signatures: Signatures,
    clock: Clock,
  ) {
    this.options = options;
    this.signatures = signatures;
    this.clock = clock;
    this.#scopes = new Set(upstreams.flatMap(({ scope }) => scope ?? []));
    this.#leases = new Leases(options.leaseFor);
    this.#mayBeRoot = options.roots.allow.map((glob) => compileGlob(glob));
  }

  route(head: RequestHead): Route | undefined {
    return this.placed(route(head));
  }

  /** Where the mirrors have it: below the host that its path begins with, where the upstreams are several servers. */
  placed<Placed extends Resource | undefined>(resource: Placed): Placed {
    const { path = '' } = resource ?? {};
    const scope = decodeURIComponent(path.slice(0, Math.max(0, path.indexOf('/'))));
    if (resource === undefined || !this.#scopes.has(scope)) return resource;
    return { ...resource, path: path.slice(path.indexOf('/') + 1), scope };
  }

  /** The pointer document of a suite, as a client gets it now. The client keeps its generation. */
  async pointer({ attributes }: Resource, context: ResolveContext): Promise<Resource | undefined> {
    const { root, name, asOf } = attributes as { root: string; name: string; asOf?: number };
    const time = asOf ?? this.options.frozen.get(root);
    await this.#requireRoot(root, context);
    const { list } = await this.#generations(root, context, time !== undefined);
    const current = time === undefined ? list[0] : generationAt(list, time);
    if (current === undefined) return undefined;
    if (asOf === undefined) this.#leases.take(context, root, current.id);
    const sha256 = current.pointers[name];
    return sha256 === undefined ? undefined : pointer(root, name, sha256);
  }

  /** An index file that is asked for by its name: of the generation that the client has begun to read. */
  async indexFile(resource: Resource, context: ResolveContext): Promise<Resource | undefined> {
    const { attributes } = resource;
    const { path, sum, asOf } = attributes as { path: string; sum?: { hex: string }; asOf?: number };
    const root = (await this.#rootOf(path, context)) ?? guessedRoot(path);
    if (root === undefined) return auxiliary(path);
    await this.#requireRoot(root, context);
    const name = path.slice(root === '' ? 0 : root.length + 1);
    // Who has begun to read one gets that, whatever the mirrors have by now.
    const isChosen =
      asOf !== undefined || this.options.frozen.has(root) || this.#leases.of(context, root) !== undefined;
    const { list } = await this.#generations(root, context, isChosen);
    for (const generation of this.#inOrder(root, list, context, asOf)) {
      const release = await this.#release(root, generation, context);
      if (sum === undefined) {
        const file = release.files.get(name);
        return file === undefined ? unlisted(path, name) : index(root, name, file, release);
      }
      const sha256 = release.sha256Of.get(sum.hex);
      if (sha256 !== undefined)
        return { class: 'index', key: indexKey(sha256), path: upstreamPath(path), integrity: [sha256Of(sha256)] };
    }
    return undefined;
  }

  /** A package, by the index that lists it. */
  async file({ attributes }: Resource, context: ResolveContext): Promise<Resource | undefined> {
    const { path, asOf } = attributes as { path: string; asOf?: number };
    const states: RootState[] = [];
    for (const root of await this.#roots(context)) {
      const below = belowArchive(path, root);
      if (below.length === 0) continue;
      const found = await this.#generations(root, context, true).catch(notThere);
      if (found !== undefined) states.push({ root, below, list: this.#inOrder(root, found.list, context, asOf) });
    }
    const kept = this.#keptIndexes(await context.keys('index/'));
    const place = [path, kept.size, ...states.map(({ list }) => list[0]?.id)].join('\n');
    const known = this.#known.get(place) ?? (await this.#find(path, states, kept, context));
    if (known !== undefined) {
      this.#known.set(place, known);
      return known;
    }
    if (this.options.unindexed === 'revalidate' || !isPackage(path)) return auxiliary(path);
    throw new EntrepotError('not-found', `no index of a suite that was asked for here lists ${path}`, {
      code: 'NOT_INDEXED',
    });
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
  ): Promise<Resource | undefined> {
    const lookIn = async (age: number, listsOf: (release: Release, root: string) => Resource[]) => {
      for (const { root, list, below } of states) {
        const generation = list[age];
        if (generation === undefined) continue;
        const release = await this.#release(root, generation, context);
        for (const list of listsOf(release, root)) {
          const { document } = await context.document<Packages>(list);
          const listed = below.map((name) => document.find(name)).find((found) => found !== undefined);
          if (listed !== undefined) return artifact(path, listed, release.distribution);
        }
      }
      return undefined;
    };
    const depth = Math.max(0, ...states.map(({ list }) => list.length));
    const seen = new Set<string>();
    const news = (release: Release): Resource[] =>
      packageLists(release, kept).flatMap(({ sha256 }) =>
        seen.has(sha256) ? [] : seen.add(sha256) && packages(sha256),
      );
    for (let age = 0; age < depth; age += 1) {
      const found = await lookIn(age, news);
      if (found !== undefined) return found;
    }
    return await lookIn(0, (release, root) =>
      likelyLists(path, release)
        .filter(([, { sha256 }]) => !kept.has(indexKey(sha256)))
        .map(([name, file]) => this.placed({ ...index(root, name, file, release), class: 'packages' })),
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
    return (await context.document<Generations>(generations(root, cached))).document;
  }

  async #release(root: string, { pointers }: Generation, context: ResolveContext): Promise<Release> {
    const name = pointers['InRelease'] === undefined ? 'Release' : 'InRelease';
    const sha256 = pointers[name] as string;
    return (await context.document<Release>({ ...pointer(root, name, sha256), class: 'release' })).document;
  }

  async #roots(context: ResolveContext): Promise<readonly string[]> {
    return (await context.keys(GENERATIONS))
      .map((key) => key.slice(GENERATIONS.length))
      .map((root) => (root === '.' ? '' : root));
  }

  async #rootOf(path: string, context: ResolveContext): Promise<string | undefined> {
    const roots = await this.#roots(context);
    const around = roots.filter((root) => root === '' || path.startsWith(`${root}/`));
    return around.sort((one, other) => other.length - one.length)[0];
  }

  /** @throws EntrepotError `forbidden` for a suite that is not to be kept here */
  async #requireRoot(root: string, context: ResolveContext): Promise<void> {
    const roots = await this.#roots(context);
    if (roots.includes(root)) return;
    if (!this.#mayBeRoot.some((fits) => fits(root)))
      throw new EntrepotError('forbidden', `the suite ${JSON.stringify(root)} is not among roots.allow`, {
        code: 'ROOT_REFUSED',
      });
    if (roots.length >= this.options.roots.most)
      throw new EntrepotError('forbidden', `${roots.length} suites are kept, and roots.most allows no more`, {
        code: 'TOO_MANY_ROOTS',
      });
  }
}

function notThere(error: unknown): undefined {
  if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
  throw error;
}
