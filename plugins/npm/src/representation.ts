import { EntrepotError, type Content, type DocumentBytes } from '@entrepot/core';
import {
  type ByteWriter,
  createOutput,
  type Instruction,
  JsonFormatError,
  JsonWriter,
  malformed,
  type ObjectVisitor,
  rewriteJson,
  scanJson,
  SKIP,
  WorkTurns,
} from '@entrepot/core/formats';
import type { RenderRequest } from '@entrepot/core/plugin';
import { INSTALL_SCRIPTS } from './manifest-facts.js';
import type { Packument } from './packument.js';
import { encodeSegment, escapedName, tarballFile, tarballPath } from './package-name.js';
import { createTagMover, type Candidate } from './tags.js';

/** The variants of a stored packument: the whole, npm's abbreviated form, the dist-tags, one version. */
export type PackumentVariant = 'full' | 'abbreviated' | 'dist-tags' | `version:${string}`;

/**
 * The members of a version in the abbreviated form. Source: the registry's API documentation, "package metadata", and `libc`,
 * which newer registries send. `hasInstallScript` is computed where it is missing.
 */
const ABBREVIATED: ReadonlySet<string> = new Set([
  'name',
  'version',
  'deprecated',
  'dependencies',
  'acceptDependencies',
  'optionalDependencies',
  'devDependencies',
  'peerDependencies',
  'peerDependenciesMeta',
  'bundleDependencies',
  'bundledDependencies',
  'bin',
  'directories',
  'dist',
  'engines',
  '_hasShrinkwrap',
  'hasInstallScript',
  'funding',
  'cpu',
  'os',
  'libc',
]);

/** What policy leaves of a packument. */
interface Listing {
  isRefused(version: string): boolean;
  /** Whether the packument has the version, refused or not. */
  has(version: string): boolean;
  /** Why `version` is refused. */
  reason(version: string): string | undefined;
  /** Why versions are gone, where some are: npm prints it to who asks for one of them. */
  readonly restrictions: { readonly message: string; readonly versions: Readonly<Record<string, object>> } | undefined;
  /** Where `tag` points, given where the upstream points it; `undefined` when nowhere. */
  target(tag: string, version: string): string | undefined;
}

/**
 * Renders the variant of a stored packument that a client asks for: tarballs and attestations lead to `baseUrl`, versions that policy
 * refuses are gone with their dates, and tags to them point elsewhere. All else is kept.
 * @throws EntrepotError `not-found` for a version or tag that is not there, `policy-denied` when policy leaves nothing
 */
export async function renderPackument(
  packument: Packument | undefined,
  request: RenderRequest,
): Promise<DocumentBytes> {
  if (packument === undefined) throw new EntrepotError('not-found', `${request.resource.key} is not here`);
  const { content, baseUrl } = request;
  const { name } = packument;
  const variant = (request.resource.variant ?? 'full') as PackumentVariant;
  const listing = await listVersions(packument, request);
  const output = createOutput();
  const json = new JsonWriter(output);
  const parts = createParts(json, name, baseUrl, listing);

  if (variant === 'full') return guarded(name, rewriteJson(content, fullVisitor(json, parts), output));
  if (variant === 'abbreviated') return guarded(name, rewriteJson(content, abbreviatedVisitor(json, parts), output));
  if (variant === 'dist-tags') return guarded(name, rewriteTags(content, parts.tags, output));
  const wanted = variant.slice('version:'.length);
  const version = listing.has(wanted) ? wanted : await resolveTag(content, wanted, listing);
  if (version === undefined) throw new EntrepotError('not-found', `version not found: ${name}@${wanted}`);
  if (listing.isRefused(version)) {
    throw new EntrepotError('policy-denied', listing.reason(version) ?? `policy refuses ${name}@${version}`);
  }
  parts.setVersion(version);
  const manifest = noting(parts.manifest);
  return guarded(name, rewriteJson(content, only('versions', only(version, manifest)), output, manifest.isDone));
}

/** Asks policy about every version, a turn at a time: a rule set can be slow. */
async function listVersions({ name, versions }: Packument, { admits, refusal }: RenderRequest): Promise<Listing> {
  const refused = new Set<string>();
  const turns = new WorkTurns();
  for (const [version, description] of versions) {
    if (!admits({ ecosystem: 'npm', name, version }, description)) refused.add(version);
    if (turns.over) await turns.next();
  }
  const reason = (version: string): string | undefined =>
    refusal({ ecosystem: 'npm', name, version }, versions.get(version));
  if (refused.size > 0 && refused.size === versions.size) {
    const subject = refused.size === 1 ? 'the only version' : `all ${refused.size} versions`;
    const why = reason([...refused].at(-1) as string);
    throw new EntrepotError(
      'policy-denied',
      `policy refuses ${subject} of ${name}${why === undefined ? '' : `: ${why}`}`,
    );
  }
  const left: Candidate[] = [];
  for (const [version, { deprecated }] of versions) {
    if (!refused.has(version)) left.push({ version, deprecated: deprecated === true });
  }
  const move = createTagMover(left);
  return {
    isRefused: (version) => refused.has(version),
    has: (version) => versions.has(version),
    reason,
    restrictions: refused.size === 0 ? undefined : restrictionsOf(name, [...refused], reason),
    target: (tag, version) => (refused.has(version) ? move(tag, version) : version),
  };
}

/** Of how many refused versions npm prints the reason. The newest ones stand last. */
const EXPLAINED = 3;

/**
 * What npm knows of versions that it may not have (npm-pick-manifest): it takes others, and where only these would do, it
 * prints the message instead of "no matching version". Other clients do not look at it.
 */
function restrictionsOf(
  name: string,
  refused: readonly string[],
  reason: (version: string) => string | undefined,
): NonNullable<Listing['restrictions']> {
  const reasons = refused.slice(-EXPLAINED).map((version) => reason(version) ?? `policy refuses ${name}@${version}`);
  const others = refused.length - reasons.length;
  const message = [...reasons.toReversed(), ...(others > 0 ? [`and ${others} older versions`] : [])].join('\n');
  // A map without a prototype: a version may be called anything.
  const versions: Record<string, object> = Object.create(null) as Record<string, object>;
  for (const version of refused) versions[version] = { name, version };
  return { message, versions };
}

/** The parts of a packument that several representations have. */
interface Parts {
  readonly tags: ObjectVisitor;
  readonly manifest: ObjectVisitor;
  readonly dist: ObjectVisitor;
  /** Says which version the next `manifest` or `dist` is of. */
  setVersion(version: string): void;
  versions(manifest: ObjectVisitor): ObjectVisitor;
  readonly isRestricted: boolean;
  /** Writes what is refused, where anything is. */
  restrictions(): void;
  time(member?: (key: string) => Instruction): ObjectVisitor;
}

function createParts(json: JsonWriter, name: string, baseUrl: string, listing: Listing): Parts {
  let current = '';
  const attestations = json.object((key) => {
    if (key !== 'url') return json.copy(key);
    // npm takes the path of this URL only and joins it to the origin of the registry.
    json.member(key, `${baseUrl}/-/npm/v1/attestations/${escapedName(name)}@${encodeSegment(current)}`);
    return SKIP;
  });
  const dist = json.object((key) => {
    if (key === 'attestations') return json.visit(key, attestations);
    if (key !== 'tarball') return json.copy(key);
    json.member(key, `${baseUrl}/${tarballPath(name, tarballFile(name, current))}`);
    return SKIP;
  });
  return {
    dist,
    manifest: json.object((key) => (key === 'dist' ? json.visit(key, dist) : json.copy(key))),
    tags: json.object((tag) => (version) => {
      const target = typeof version === 'string' ? listing.target(tag, version) : undefined;
      if (target !== undefined) json.member(tag, target);
    }),
    setVersion(version) {
      current = version;
    },
    isRestricted: listing.restrictions !== undefined,
    restrictions() {
      if (listing.restrictions !== undefined) json.member('policyRestrictions', listing.restrictions);
    },
    versions: (manifest) =>
      json.object((version) => {
        if (listing.isRefused(version)) return SKIP;
        current = version;
        return json.visit(version, manifest);
      }),
    time: (member = (key) => json.copy(key)) => json.object((key) => (listing.isRefused(key) ? SKIP : member(key))),
  };
}

function fullVisitor(json: JsonWriter, parts: Parts): ObjectVisitor {
  const versions = parts.versions(parts.manifest);
  const time = parts.time();
  return json.object((key) => {
    if (key === 'versions') return json.visit(key, versions);
    if (key === 'time') return json.visit(key, time);
    if (key === 'dist-tags') return json.visit(key, parts.tags);
    return key === 'policyRestrictions' && parts.isRestricted ? SKIP : json.copy(key);
  }, parts.restrictions);
}

function abbreviatedVisitor(json: JsonWriter, parts: Parts): ObjectVisitor {
  let knowsScripts = false;
  let buildsAddon = false;
  const installScripts = new Set<string>();
  const scripts: ObjectVisitor = {
    enter: () => installScripts.clear(),
    member(key) {
      if (!INSTALL_SCRIPTS.has(key)) return SKIP;
      return (script) => {
        // Undefined: too long to be read, but there.
        if (script === undefined || (typeof script === 'string' && script !== '')) installScripts.add(key);
        else installScripts.delete(key);
      };
    },
  };
  const manifest = json.object(
    (key) => {
      if (key === 'dist') return json.visit(key, parts.dist);
      if (key === 'scripts') return scripts;
      if (key === 'gypfile') return (value) => void (buildsAddon = value === true);
      knowsScripts ||= key === 'hasInstallScript';
      return ABBREVIATED.has(key) ? json.copy(key) : SKIP;
    },
    () => {
      if (!knowsScripts && (buildsAddon || installScripts.size > 0)) json.member('hasInstallScript', true);
    },
  );
  const versions = parts.versions({
    ...manifest,
    enter() {
      knowsScripts = buildsAddon = false;
      installScripts.clear();
      manifest.enter?.();
    },
  });

  let knowsModified = false;
  let modified: unknown;
  const time = parts.time((key) => {
    if (key !== 'modified') return json.copy(key);
    return (value) => {
      modified = value;
      json.member(key, value ?? null);
    };
  });
  return json.object(
    (key) => {
      if (key === 'versions') return json.visit(key, versions);
      if (key === 'time') return json.visit(key, time);
      if (key === 'dist-tags') return json.visit(key, parts.tags);
      knowsModified ||= key === 'modified';
      return key === 'name' || key === 'modified' ? json.copy(key) : SKIP;
    },
    () => {
      if (!knowsModified && typeof modified === 'string') json.member('modified', modified);
      parts.restrictions();
    },
  );
}

/** Sees only the member `wanted`, and writes nothing around it. */
function only(wanted: string, visitor: ObjectVisitor): ObjectVisitor {
  return { member: (key) => (key === wanted ? visitor : SKIP) };
}

/** `visitor`, and whether it has seen its object to the end. */
function noting(visitor: ObjectVisitor): ObjectVisitor & { isDone(): boolean } {
  let done = false;
  return {
    ...visitor,
    leave() {
      visitor.leave?.();
      done = true;
    },
    isDone: () => done,
  };
}

async function* rewriteTags(content: Content, tags: ObjectVisitor, output: ByteWriter): AsyncGenerator<Buffer> {
  const noted = noting(tags);
  yield* rewriteJson(content, only('dist-tags', noted), output, noted.isDone);
  if (!noted.isDone()) yield Buffer.from('{}');
}

/** The version to which the tag `wanted` points. */
async function resolveTag(content: Content, wanted: string, listing: Listing): Promise<string | undefined> {
  let target: unknown;
  const tags = noting({ member: (tag) => (tag === wanted ? (value) => void (target = value) : SKIP) });
  await scanJson(content, only('dist-tags', tags), tags.isDone);
  const version = typeof target === 'string' ? listing.target(wanted, target) : undefined;
  return version !== undefined && listing.has(version) ? version : undefined;
}

/** Stored packuments were checked by `describe`; one that is malformed all the same is not passed on as if it were whole. */
async function* guarded(name: string, pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* pieces;
  } catch (error) {
    if (error instanceof JsonFormatError) throw malformed(`the packument of ${name}`, error.message, error);
    throw error;
  }
}
