import {
  withoutTrailingSlashes,
  parseHex,
  parseSri,
  strongest,
  VersionHistory,
  type ArtifactDescription,
  type Content,
  type DatedVersion,
  type Integrity,
  type Upstream,
  type Parsed,
  type Resource,
} from '@entrepot/core';
import {
  type Fields,
  fieldsOf,
  isRecord,
  JsonFormatError,
  malformed,
  type ObjectVisitor,
  scanJson,
  SKIP,
  WorkTurns,
} from '@entrepot/core/formats';
import { Layout } from './layout.js';
import { attestationsKey, tarballFile, tarballKey, tarballPath } from './package-name.js';
import { newDependencies, statedFacts, VersionFacts, versionVisitor } from './version-facts.js';

/** More versions than any package has; a bound for the memory that one packument can take. */
const VERSION_LIMIT = 100_000;
/**
 * Members that may stand only once: JSON parsers differ in which of two they believe, so that what is checked here could
 * be something else than what a client reads. Elsewhere the last one counts, as it does for `JSON.parse`.
 */
const STRUCTURE: ReadonlySet<string> = new Set(['name', 'versions', 'time', 'dist-tags']);
/**
 * Version that the registry puts in the place of a package that it took down: `0.0.1-security`, or `0.0.1-security.1` for
 * one taken down again.
 */
const PLACEHOLDER = /^0\.0\.\d{1,3}-security(?:\.\d{1,3})?$/;
/** The least age between versions whose dependencies are compared; milliseconds. */
const DEPENDENCY_DISTANCE = 30 * 86_400_000;
/** The longest licence expression that is kept, in characters. */
const LICENSE_LIMIT = 256;
/** The largest signature or attestation document, in bytes. */
const SMALL_DOCUMENT_LIMIT = 16 * 1024 * 1024;

/** One version, but for what the rest of the packument says of it: its date, and what was before it. */
interface VersionSummary {
  readonly description: ArtifactDescription;
  readonly dependencies: ReadonlySet<string>;
  /** The upstream's own name of the tarball where it is not ours. */
  readonly alias: string | undefined;
}

/** Describes the tarball of a version document: the same promises as in a packument, but not all facts. */
export async function describeVersion(
  name: string,
  version: string,
  content: Content,
  upstreams: readonly Upstream[],
): Promise<Parsed> {
  const found = parseObject(await content.bytes(SMALL_DOCUMENT_LIMIT), `the version document of ${name}@${version}`);
  if (found['name'] !== name || found['version'] !== version) {
    const what = `expected ${name}@${version}, found ${printName(found['name'])} ${printName(found['version'])}`;
    throw malformed(`the version document of ${name}@${version}`, what);
  }
  const { integrity, shasum, tarball } = fieldsOf(found['dist']);
  const facts = Object.assign(new VersionFacts(), { integrity, shasum, tarball });
  const { description, alias } = createSummariser(name, upstreams)(version, facts);
  const { coordinates, location } = description;
  const promised = { integrity: description.integrity, location, coordinates };
  const files = [tarballFile(name, version), ...(alias === undefined ? [] : [alias])];
  const keys = files.map((file) => tarballKey(name, file));
  return {
    weight: 500,
    describe: (key) => (keys.includes(key) ? promised : undefined),
    descriptions: () => keys.map((key) => [key, promised] as const),
  };
}

/**
 * Reads a packument: what it says of its tarballs, by the file names that this proxy gives them, and by the upstream's own where those
 * are others and free.
 * @throws EntrepotError `upstream-unavailable`, code `UPSTREAM_MALFORMED`, for a body that is no packument of `name`
 */
export async function parsePackument(
  name: string,
  content: Content,
  upstreams: readonly Upstream[],
  arriving?: (packument: Packument) => void,
): Promise<Packument> {
  let foundName: unknown;
  const summaries = new Map<string, VersionSummary>();
  const published = new Map<string, number>();
  const summarise = createSummariser(name, upstreams);
  const layout = new Layout();

  let facts = new VersionFacts();
  const versionReader = versionVisitor(() => facts);
  const begins = (key: string) => (start: number, valueStart: number) =>
    void layout.members.push({ key, start, valueStart });
  const versions: ObjectVisitor = {
    enter: begins('versions'),
    member(key) {
      if (summaries.size >= VERSION_LIMIT) throw new JsonFormatError(`it has more than ${VERSION_LIMIT} versions`);
      if (summaries.has(key)) throw new JsonFormatError('it has a version twice');
      facts = new VersionFacts();
      return versionReader;
    },
    ended(key, start, valueStart, end) {
      summaries.set(key, summarise(key, facts));
      const { urls, abbreviated, saysInstallScript, runsScripts } = facts;
      const addsInstallScript = saysInstallScript === undefined && runsScripts;
      layout.versions.push({ key, start, valueStart, end, urls, abbreviated, addsInstallScript });
    },
    otherwise: fails('"versions" is not an object'),
  };
  const time: ObjectVisitor = {
    enter: begins('time'),
    member(key) {
      if (published.size > VERSION_LIMIT) throw new JsonFormatError(`it has more than ${VERSION_LIMIT} dates`);
      return (value) => {
        if (key === 'modified') layout.modified = value;
        const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
        if (Number.isNaN(at)) published.delete(key);
        else published.set(key, at);
      };
    },
    ended: (key, start, valueStart, end) => void layout.times.push({ key, start, valueStart, end }),
  };
  const tags: ObjectVisitor = {
    member: (tag) => (version) => {
      if (typeof version === 'string') layout.tags.set(tag, version);
      else layout.tags.delete(tag);
    },
    otherwise: fails('"dist-tags" is not an object'),
  };
  const seen = new Set<string>();
  const root: ObjectVisitor = {
    member(key) {
      if (!STRUCTURE.has(key)) return SKIP;
      if (seen.has(key)) throw new JsonFormatError(`it has "${key}" twice`);
      seen.add(key);
      if (key === 'name') return (value) => void (foundName = value);
      return key === 'versions' ? versions : key === 'time' ? time : tags;
    },
    ended(key, start, valueStart, end) {
      const open = layout.members.at(-1);
      if (open?.start === start) open.end = end;
      else layout.members.push({ key, start, valueStart, end });
    },
    otherwise: fails('it is not a JSON object'),
  };

  const packument = new Packument(name, layout);
  arriving?.(packument);
  try {
    await scanJson(content, root, () => layout.advance());
    layout.close();
  } catch (error) {
    layout.close(error);
    if (error instanceof JsonFormatError) throw malformed(`the packument of ${name}`, error.message, error);
    throw error;
  }
  if (foundName !== name) {
    throw malformed(`the packument of ${name}`, `expected "name" to be ${name}, found ${printName(foundName)}`);
  }
  await collect(packument, summaries, published);
  return packument;
}

async function collect(
  packument: Packument,
  summaries: ReadonlyMap<string, VersionSummary>,
  published: ReadonlyMap<string, number>,
): Promise<void> {
  const dated = new Map<string, DatedVersion>();
  for (const [version, { description }] of summaries) {
    const publishedAt = published.get(version);
    if (publishedAt === undefined) continue;
    const { installScripts, provenance, publisher } = description;
    dated.set(version, { version, publishedAt, branch: branchOf(version), installScripts, provenance, publisher });
  }
  const history = new VersionHistory(dated.values());
  const turns = new WorkTurns();
  for (const [version, { description, dependencies }] of summaries) {
    const own = dated.get(version);
    const earlier = own && summaries.get(history.older(own, DEPENDENCY_DISTANCE)?.version ?? '');
    packument.add(version, {
      ...description,
      publishedAt: own?.publishedAt,
      // Nothing is known of the first version, and of one without a date.
      ...(own !== undefined &&
        earlier !== undefined && {
          before: history.before(own),
          newDependencies: newDependencies(dependencies, earlier.dependencies),
        }),
    });
    if (packument.versions.size % 256 === 0 && turns.over) await turns.next();
  }
  for (const [version, { alias }] of summaries) if (alias !== undefined) packument.addAlias(alias, version);
}

function fails(message: string): () => never {
  return () => {
    throw new JsonFormatError(message);
  };
}

/** Versions that a caret leads from one to the other between. */
function branchOf(version: string): string {
  return /^[v=\s]{0,4}(0\.\d{1,16}|\d{1,16})(?![\d])/.exec(version)?.[1] ?? '';
}

/** A packument that was read: its versions, and the tarballs and attestations of each. */
export class Packument implements Parsed {
  readonly name: string;
  readonly layout: Layout;
  /** The descriptions of its versions, in its order. */
  readonly versions = new Map<string, ArtifactDescription>();
  unlisted: Parsed['unlisted'];
  readonly #byKey = new Map<string, ArtifactDescription>();

  constructor(name: string, layout: Layout) {
    this.name = name;
    this.layout = layout;
  }

  /** Bytes in memory, about. */
  get weight(): number {
    return 600 * this.#byKey.size + 8 * this.layout.size;
  }

  describe(key: string): ArtifactDescription | undefined {
    const prefix = attestationsKey(this.name, '');
    if (!key.startsWith(prefix)) return this.#byKey.get(key);
    return this.#byKey.get(tarballKey(this.name, tarballFile(this.name, key.slice(prefix.length))));
  }

  descriptions(): Iterable<readonly [string, ArtifactDescription]> {
    return this.#byKey;
  }

  add(version: string, description: ArtifactDescription): void {
    this.versions.set(version, description);
    this.#byKey.set(tarballKey(this.name, tarballFile(this.name, version)), description);
    if (description.upstream === 'quarantined') this.unlisted = { upstream: 'quarantined' };
  }

  /** Adds the upstream's own name of a tarball. A name that is ours for another version stays that version's. */
  addAlias(file: string, version: string): void {
    const key = tarballKey(this.name, file);
    const description = this.versions.get(version);
    if (description !== undefined && !this.#byKey.has(key)) this.#byKey.set(key, description);
  }
}

function createSummariser(
  name: string,
  upstreams: readonly Upstream[],
): (version: string, facts: VersionFacts) => VersionSummary {
  // Thousands of versions have the same licence: they share one array.
  const known = new Map<string, readonly string[]>();
  return (version, facts) => {
    const { deprecated, dependencies } = facts;
    const file = tarballFile(name, version);
    const url = tarballUrl(facts.tarball);
    const ownFile = url === undefined ? undefined : fileOf(url);
    const found = licensesOf(facts.license);
    const licenses = known.get(found.join('\0')) ?? found;
    known.set(found.join('\0'), licenses);
    return {
      dependencies,
      alias: ownFile === file ? undefined : ownFile,
      description: {
        integrity: integrityOf(facts),
        // The usual place is left out: it is found below whichever upstream answers.
        location: url === undefined ? undefined : locate(url, tarballPath(name, file), upstreams),
        coordinates: { ecosystem: 'npm', name, version },
        licenses: licenses.length === 0 ? undefined : licenses,
        deprecated: deprecated === true || (typeof deprecated === 'string' && deprecated !== ''),
        ...statedFacts(facts),
        ...(PLACEHOLDER.test(version) && { upstream: 'quarantined' as const }),
      },
    };
  };
}

function integrityOf({ integrity, shasum }: VersionFacts): readonly Integrity[] {
  const promised = typeof integrity === 'string' ? strongest(parseSri(integrity)) : [];
  if (promised.length > 0) return promised;
  const sha1 = typeof shasum === 'string' ? parseHex('sha1', shasum) : undefined;
  return sha1 === undefined ? [] : [sha1];
}

/** `license` is an SPDX expression; packages from before 2015 have `{type}` or a list of those. */
function licensesOf(license: unknown): readonly string[] {
  const found: string[] = [];
  for (const each of Array.isArray(license) ? (license as readonly unknown[]) : [license]) {
    const type = isRecord(each) ? each['type'] : each;
    if (typeof type === 'string' && type !== '' && type.length <= LICENSE_LIMIT) found.push(type);
  }
  return found;
}

function tarballUrl(tarball: unknown): URL | undefined {
  if (typeof tarball !== 'string' || !URL.canParse(tarball)) return undefined;
  const url = new URL(tarball);
  return url.protocol === 'https:' || url.protocol === 'http:' ? url : undefined;
}

/** The location of the tarball, unless it is at `path` below an upstream of this repository. */
function locate(tarball: URL, path: string, upstreams: readonly Upstream[]): string | undefined {
  const url = new URL(tarball);
  // Packuments from before 2014 say http: where the registry has long been on https:.
  const isPlain = url.protocol === 'http:' && url.port === '';
  if (isPlain && upstreams.some((upstream) => new URL(upstream.url).origin === `https://${url.host}`)) {
    url.protocol = 'https:';
  }
  const usual = upstreams.some((upstream) => `${withoutTrailingSlashes(upstream.url)}/${path}` === url.href);
  return usual ? undefined : url.href;
}

/** The decoded last segment of `url` when it looks like a tarball. */
function fileOf(url: URL): string | undefined {
  try {
    const file = decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf('/') + 1));
    return file.endsWith('.tgz') && !file.includes('/') ? file : undefined;
  } catch {
    return undefined;
  }
}

function printName(name: unknown): string {
  return typeof name === 'string' ? JSON.stringify(name.slice(0, 214)) : name === undefined ? 'none' : typeof name;
}

/** Checks a document that holds one list, under the name of its class. */
export async function checkList(content: Content, { class: name, key }: Resource): Promise<Parsed> {
  const found = parseObject(await content.bytes(SMALL_DOCUMENT_LIMIT), key);
  if (!Array.isArray(found[name])) throw malformed(key, `it has no list of ${name}`);
  return { weight: 0 };
}

function parseObject(bytes: Uint8Array, what: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
  } catch (error) {
    throw malformed(what, 'it is not JSON', error);
  }
  if (isRecord(value)) return value;
  throw malformed(what, 'it is not a JSON object');
}
