import { EntrepotError, type DocumentBytes, type RenderRequest } from '@entrepot/core';
import { WorkTurns } from '@entrepot/core/formats';
import type { Place, RootPlace, UrlPlace, VersionPlace } from './layout.js';
import type { Packument } from './packument.js';
import { encodeSegment, escapedName, tarballFile, tarballPath } from './package-name.js';
import { MORE, writePieces, type Piece } from './pieces.js';
import { createTagMover, type TagMover } from './tags.js';

/** The variants of a stored packument: the whole, npm's abbreviated form, the dist-tags, one version. */
export type PackumentVariant = 'full' | 'abbreviated' | 'dist-tags' | `version:${string}`;

/** The members of the abbreviated form. */
const ABBREVIATED_ROOT: ReadonlySet<string> = new Set(['name', 'modified', 'versions', 'time', 'dist-tags']);

/**
 * Renders the variant of a stored packument that a client asks for: tarballs and attestations lead to `baseUrl`, versions that policy
 * refuses are gone with their dates, and tags to them point elsewhere. All else is kept, byte for byte.
 * @throws EntrepotError `not-found` for a version or tag that is not there, `policy-denied` when policy leaves nothing
 */
export async function renderPackument(packument: Packument, request: RenderRequest): Promise<DocumentBytes> {
  const { name, layout, versions } = packument;
  const variant = (request.resource.variant ?? 'full') as PackumentVariant;
  const isArriving = request.isArriving === true && !layout.isWhole;
  // What one version is, or where tags lead, is known at the end.
  if (isArriving && variant !== 'full' && variant !== 'abbreviated') await layout.whole();
  const refused = isArriving ? new Set<string>() : await refusedVersions(packument, request);
  const form = new Form(packument, request, refused);
  if (variant === 'dist-tags') return [form.tags()];
  if (variant === 'full' || variant === 'abbreviated') {
    return writePieces(request.content, form.pieces(variant === 'abbreviated'), () => layout.more());
  }
  const wanted = variant.slice('version:'.length);
  const tagged = layout.tags.get(wanted);
  const version = versions.has(wanted) ? wanted : tagged && form.target(wanted, tagged);
  const place = version === undefined ? undefined : layout.versions.find(({ key }) => key === version);
  if (version === undefined || place === undefined)
    throw new EntrepotError('not-found', `version not found: ${name}@${wanted}`);
  if (refused.has(version)) throw new EntrepotError('policy-denied', printReason(packument, request, version));
  return writePieces(request.content, form.edited(place, place.valueStart, place.end));
}

/**
 * Asks policy about every version, a turn at a time: a rule set can be slow.
 * @throws EntrepotError `policy-denied` when it refuses all
 */
async function refusedVersions(packument: Packument, request: RenderRequest): Promise<ReadonlySet<string>> {
  const { name, versions } = packument;
  const refused = new Set<string>();
  const turns = new WorkTurns();
  for (const [version, description] of versions) {
    if (!request.admits({ ecosystem: 'npm', name, version }, description)) refused.add(version);
    if (turns.over) await turns.next();
  }
  if (refused.size === 0 || refused.size < versions.size) return refused;
  const subject = refused.size === 1 ? 'the only version' : `all ${refused.size} versions`;
  const why = reasonOf(packument, request, [...refused].at(-1) as string);
  const because = why === undefined ? '' : `: ${why}`;
  throw new EntrepotError('policy-denied', `policy refuses ${subject} of ${name}${because}`);
}

function reasonOf({ name, versions }: Packument, { refusal }: RenderRequest, version: string): string | undefined {
  return refusal({ ecosystem: 'npm', name, version }, versions.get(version));
}

function printReason(packument: Packument, request: RenderRequest, version: string): string {
  return reasonOf(packument, request, version) ?? `policy refuses ${packument.name}@${version}`;
}

/** Of how many refused versions npm prints the reason. The newest ones stand last. */
const EXPLAINED = 3;

/**
 * Lists refused versions for npm (npm-pick-manifest). It takes other versions, and where only these match, it prints
 * the message instead of "no matching version". Other clients ignore it.
 */
function restrictionsOf(packument: Packument, request: RenderRequest, refused: ReadonlySet<string>): object {
  const { name } = packument;
  const explained = [...refused].slice(-EXPLAINED).toReversed();
  const reasons = explained.map((version) => printReason(packument, request, version));
  const others = refused.size - reasons.length;
  if (others > 0) reasons.push(`and ${others} older versions`);
  // A map without a prototype: a version may be called anything.
  const versions: Record<string, object> = Object.create(null) as Record<string, object>;
  for (const version of refused) versions[version] = { name, version };
  return { message: reasons.join('\n'), versions };
}

/** The pieces that the representations of one packument are made of. */
class Form {
  readonly #packument: Packument;
  readonly #baseUrl: string;
  readonly #refused: ReadonlySet<string>;
  /** The reasons why versions are gone, where some are: npm prints them to who asks for one of them. */
  readonly #restrictions: object | undefined;
  readonly #moveTag: TagMover;

  constructor(packument: Packument, request: RenderRequest, refused: ReadonlySet<string>) {
    this.#packument = packument;
    this.#baseUrl = request.baseUrl;
    this.#refused = refused;
    this.#restrictions = refused.size === 0 ? undefined : restrictionsOf(packument, request, refused);
    this.#moveTag = createTagMover(packument.versions, refused);
  }

  /** Finds the version that `tag` points to, given where the upstream points it; `undefined`: the tag is dropped. */
  target(tag: string, version: string): string | undefined {
    return this.#refused.has(version) ? this.#moveTag(tag, version) : version;
  }

  /** The whole packument, or the abbreviated form. */
  *pieces(isAbbreviated: boolean): Generator<Piece> {
    const isKept = ({ key }: RootPlace): boolean =>
      isAbbreviated ? ABBREVIATED_ROOT.has(key) : key !== 'policyRestrictions' || this.#restrictions === undefined;
    yield* this.#object(
      this.#packument.layout.members,
      isKept,
      (place) => this.#rootMember(place, isAbbreviated),
      () => this.#addedMembers(isAbbreviated),
    );
  }

  #addedMembers(isAbbreviated: boolean): string[] {
    const { members, modified } = this.#packument.layout;
    const added: string[] = [];
    const lacksModified = typeof modified === 'string' && !members.some(({ key }) => key === 'modified');
    if (isAbbreviated && lacksModified) added.push(`"modified":${JSON.stringify(modified)}`);
    if (this.#restrictions !== undefined) added.push(`"policyRestrictions":${JSON.stringify(this.#restrictions)}`);
    return added;
  }

  /** The dist-tags that are left, as text. */
  tags(): string {
    const left = new Map<string, string>();
    for (const [tag, version] of this.#packument.layout.tags) {
      const target = this.target(tag, version);
      if (target !== undefined) left.set(tag, target);
    }
    return `{${Array.from(left, ([tag, version]) => `${JSON.stringify(tag)}:${JSON.stringify(version)}`).join(',')}}`;
  }

  /** The bytes from `start` to `end`, which lie within a version, with its URLs leading here. */
  *edited({ key, urls }: VersionPlace, start: number, end: number): Generator<Piece> {
    let from = start;
    for (const url of urls) {
      if (url.start < start || url.end > end) continue;
      yield [from, url.start];
      yield JSON.stringify(this.#urlOf(url.kind, key));
      from = url.end;
    }
    yield [from, end];
  }

  *#rootMember(place: RootPlace, isAbbreviated: boolean): Generator<Piece> {
    const { versions, times } = this.#packument.layout;
    const isLeft = ({ key }: Place): boolean => !this.#refused.has(key);
    const isDone = (): boolean => place.end !== undefined;
    if (place.key === 'versions') {
      yield [place.start, place.valueStart];
      const member = (version: VersionPlace): Iterable<Piece> =>
        isAbbreviated ? this.#abbreviatedVersion(version) : this.edited(version, version.start, version.end);
      yield* this.#object(versions, isLeft, member, () => [], isDone);
      return;
    }
    while (!isDone()) yield MORE;
    if (place.key === 'dist-tags') {
      yield [place.start, place.valueStart];
      yield this.tags();
    } else if (place.key === 'time' && this.#restrictions !== undefined) {
      yield [place.start, place.valueStart];
      yield* this.#object(times, isLeft, ({ start, end }) => [[start, end]]);
    } else yield [place.start, place.end as number];
  }

  *#abbreviatedVersion(place: VersionPlace): Generator<Piece> {
    const { start, valueStart, abbreviated, addsInstallScript } = place;
    yield [start, valueStart];
    yield '{';
    for (let at = 0; at < abbreviated.length; at += 2) {
      if (at > 0) yield ',';
      yield* this.edited(place, abbreviated[at] as number, abbreviated[at + 1] as number);
    }
    if (addsInstallScript) yield abbreviated.length > 0 ? ',"hasInstallScript":true' : '"hasInstallScript":true';
    yield '}';
  }

  /** @param isDone whether all members are known; by then `more` is */
  *#object<P>(
    places: readonly P[],
    isKept: (place: P) => boolean,
    member: (place: P) => Iterable<Piece>,
    more: () => readonly string[] = () => [],
    isDone = (): boolean => this.#packument.layout.isWhole,
  ): Generator<Piece> {
    yield '{';
    let comma = '';
    for (let at = 0; ; at += 1) {
      while (at === places.length && !isDone()) yield MORE;
      const place = places[at];
      if (place === undefined) break;
      if (!isKept(place)) continue;
      if (comma !== '') yield comma;
      comma = ',';
      yield* member(place);
    }
    for (const text of more()) {
      yield comma + text;
      comma = ',';
    }
    yield '}';
  }

  #urlOf(kind: UrlPlace['kind'], version: string): string {
    const { name } = this.#packument;
    if (kind === 'tarball') return `${this.#baseUrl}/${tarballPath(name, tarballFile(name, version))}`;
    // npm takes the path of this URL only and joins it to the origin of the registry.
    return `${this.#baseUrl}/-/npm/v1/attestations/${escapedName(name)}@${encodeSegment(version)}`;
  }
}
