import {
  EntrepotError,
  type Clock,
  type RequestHead,
  type ResolveContext,
  type Resource,
  type Route,
} from '@entrepot/core';
import { compileGlob, Lru } from '@entrepot/core/formats';
import type { Generation, Generations } from '../shared/generations.js';
import { Leases } from '../shared/leases.js';
import type { DebOptions } from './options.js';
import type { ListedPackage } from './package-rows.js';
import type { Packages } from './packages.js';
import type { ListedFile, Release } from './release.js';
import { indexKey, route, upstreamPath } from './routes.js';
import type { Signatures } from './signatures.js';

/** The prefix of the keys of generations. */
export const GENERATIONS = 'generations/';
/** The bound on packages whose index is remembered. */
const MOST_KNOWN = 20_000;

/** A proxy of an archive of Debian packages. */
export class DebProxy {
  readonly options: DebOptions;
  readonly signatures: Signatures;
  readonly clock: Clock;
  /** The date of the newest Release file of each root: a mirror with an older one is passed over. */
  readonly newest = new Map<string, number>();
  readonly #leases: Leases;
  readonly #mayBeRoot: readonly ((path: string) => boolean)[];
  /** Packages that were found lately, by the generations that were looked into. */
  readonly #known = new Lru<Resource>(MOST_KNOWN);

  constructor(options: DebOptions, signatures: Signatures, clock: Clock) {
    this.options = options;
    this.signatures = signatures;
    this.clock = clock;
    this.#leases = new Leases(options.leaseFor);
    this.#mayBeRoot = options.roots.allow.map((glob) => compileGlob(glob));
  }

  route(head: RequestHead): Route | undefined {
    return route(head);
  }

  /** The pointer document of a suite, as a client gets it now. The client keeps its generation. */
  async pointer({ attributes }: Resource, context: ResolveContext): Promise<Resource | undefined> {
    const { root, name } = attributes as { root: string; name: string };
    await this.#requireRoot(root, context);
    const { list } = await this.#generations(root, context);
    const [current] = list as [Generation];
    this.#leases.take(context, root, current.id);
    const sha256 = current.pointers[name];
    return sha256 === undefined ? undefined : pointer(root, name, sha256);
  }

  /** An index file that is asked for by its name: of the generation that the client has begun to read. */
  async indexFile(resource: Resource, context: ResolveContext): Promise<Resource | undefined> {
    const { key: path, attributes } = resource;
    const root = (await this.#rootOf(path, context)) ?? guessedRoot(path);
    if (root === undefined) return auxiliary(path);
    await this.#requireRoot(root, context);
    const name = path.slice(root === '' ? 0 : root.length + 1);
    // Who has begun to read one gets that, whatever the mirrors have by now.
    const { list } = await this.#generations(root, context, this.#leases.of(context, root) !== undefined);
    const { sum } = (attributes ?? {}) as { sum?: { hex: string; algorithm: string } };
    for (const generation of this.#inOrder(root, list, context)) {
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
  async file({ key: path }: Resource, context: ResolveContext): Promise<Resource | undefined> {
    const roots = await this.#roots(context);
    const states: { root: string; list: readonly Generation[] }[] = [];
    for (const root of roots) {
      const found = await this.#generations(root, context, true).catch(notThere);
      if (found !== undefined) states.push({ root, list: this.#inOrder(root, found.list, context) });
    }
    const kept = new Set(await context.keys('index/'));
    const place = [path, kept.size, ...states.map(({ list }) => list[0]?.id)].join('\n');
    const known = this.#known.get(place) ?? (await this.#find(path, states, kept, context));
    if (known !== undefined) {
      this.#known.set(place, known);
      return known;
    }
    if (this.options.unindexed === 'revalidate') return auxiliary(path);
    throw new EntrepotError('not-found', `no index that was verified lists ${path}`, { code: 'NOT_INDEXED' });
  }

  /** Looks first into the generation of each root that the client reads, then into others. */
  async #find(
    path: string,
    states: readonly { readonly root: string; readonly list: readonly Generation[] }[],
    kept: ReadonlySet<string>,
    context: ResolveContext,
  ): Promise<Resource | undefined> {
    const depth = Math.max(0, ...states.map(({ list }) => list.length));
    const seen = new Set<string>();
    for (let age = 0; age < depth; age += 1) {
      for (const { root, list } of states) {
        const generation = list[age];
        const below = belowArchive(path, root);
        if (generation === undefined || below.length === 0) continue;
        const release = await this.#release(root, generation, context);
        for (const { sha256 } of packageLists(release, kept)) {
          if (seen.has(`${sha256} ${root}`)) continue;
          seen.add(`${sha256} ${root}`);
          const { document } = await context.document<Packages>(packages(sha256));
          const listed = below.map((name) => document.find(name)).find((found) => found !== undefined);
          if (listed !== undefined) return artifact(path, listed, release.distribution);
        }
      }
    }
    return undefined;
  }

  /** The generations in the order in which they are looked into: first the one that the client has begun to read. */
  #inOrder(root: string, list: readonly Generation[], context: ResolveContext): readonly Generation[] {
    const leased = this.#leases.of(context, root);
    const first = list.find(({ id }) => id === leased);
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

/** The generations of a root. @param cached whether no mirror is to be asked */
export function generations(root: string, cached = false): Resource {
  return { class: 'generations', key: `${GENERATIONS}${root || '.'}`, attributes: { root, cached } };
}

/** A pointer document of one generation. */
export function pointer(root: string, name: string, sha256: string): Resource {
  return { class: 'pointer', key: `pointer/${sha256}`, attributes: { root, name, sha256 } };
}

/** An index file. Mirrors are asked by its sum where they have that: then they may be of another time. */
export function index(root: string, name: string, { sha256 }: ListedFile, { byHash }: Release): Resource {
  const path = root === '' ? name : `${root}/${name}`;
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  return {
    class: 'index',
    key: indexKey(sha256),
    path: upstreamPath(byHash ? `${folder}by-hash/SHA256/${sha256}` : path),
    integrity: [sha256Of(sha256)],
  };
}

/** The lists of packages of a release that are kept. */
function packageLists({ files }: Release, kept: ReadonlySet<string>): ListedFile[] {
  return [...files]
    .filter(([name, { sha256 }]) => LISTS_PACKAGES.test(name) && kept.has(indexKey(sha256)))
    .map(([, file]) => file);
}

const LISTS_PACKAGES = /(?:^|\/)(?:Packages|Sources)(?:\.(?:gz|xz|zst))?$/;

/** An index that is kept, read as a list of packages. */
function packages(sha256: string): Resource {
  return { class: 'packages', key: indexKey(sha256) };
}

function artifact(
  path: string,
  { sha256, source, sourceVersion }: ListedPackage,
  distribution: string | undefined,
): Resource {
  const name = distribution === undefined ? source : `${distribution}/${source}`;
  return {
    class: 'package',
    // The same path may have stood for other bytes before.
    key: `package/${sha256}`,
    path: upstreamPath(path),
    integrity: [sha256Of(sha256)],
    coordinates: { ecosystem: 'deb', name, version: sourceVersion },
    attributes: { filename: path.slice(path.lastIndexOf('/') + 1) },
  };
}

function auxiliary(path: string): Resource {
  return { class: 'auxiliary', key: `auxiliary/${path}`, path: upstreamPath(path) };
}

/** What a suite has beside its index files is passed on; an index that it does not list is none. */
function unlisted(path: string, name: string): Resource | undefined {
  const isIndex = /(?:^|\/)(?:Packages|Sources|Contents-|Translation-|Components-|Commands-|Release$)/.test(name);
  return isIndex ? undefined : auxiliary(path);
}

function sha256Of(hex: string) {
  return { algorithm: 'sha256', hex } as const;
}

/** `dists/bookworm` of an index below it. */
function guessedRoot(path: string): string | undefined {
  const segments = path.split('/');
  const suite = segments.lastIndexOf('dists') + 1;
  if (suite > 0) return segments.length > suite + 1 ? segments.slice(0, suite + 1).join('/') : undefined;
  return segments.slice(0, -1).join('/');
}

/** The names by which an index of `root` may list `path`: below the archive of the root. */
function belowArchive(path: string, root: string): string[] {
  const suites = /^(?:(.*)\/)?dists\//.exec(`${root}/`);
  const folders = root.split('/');
  // The archive of a flat repository is where its users say.
  const archives =
    suites === null ? folders.map((_, index) => folders.slice(0, index).join('/')).concat(root) : [suites[1] ?? ''];
  return [...new Set(archives)].flatMap((archive) => {
    if (archive === '') return [path];
    return path.startsWith(`${archive}/`) ? [path.slice(archive.length + 1)] : [];
  });
}

function notThere(error: unknown): undefined {
  if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
  throw error;
}
