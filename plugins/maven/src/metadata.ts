import type { Content, Parsed } from '@entrepot/core';
import { malformed, mavenOrder, WorkTurns } from '@entrepot/core/formats';
import { readXml, xmlText } from './read-xml.js';

/** The largest metadata that is read, in bytes. Artifacts with 10,000 versions have 500 KB. */
export const LARGEST_METADATA = 8 * 1024 * 1024;

/** A file of the newest build of a snapshot. */
export interface SnapshotVersion {
  readonly classifier?: string | undefined;
  readonly extension: string;
  /** `1.1-20260102.030405-6` */
  readonly value: string;
  /** `20260102030405` */
  readonly updated: string;
}

/** A plugin of a group. */
export interface GroupPlugin {
  readonly name?: string | undefined;
  readonly prefix: string;
  readonly artifactId: string;
}

/** The newest build of a snapshot. */
export interface SnapshotBuild {
  readonly timestamp?: string | undefined;
  readonly buildNumber?: string | undefined;
  readonly localCopy?: string | undefined;
}

/** Contents of a `maven-metadata.xml`. */
export interface Metadata {
  readonly groupId?: string | undefined;
  readonly artifactId?: string | undefined;
  readonly version?: string | undefined;
  readonly latest?: string | undefined;
  readonly release?: string | undefined;
  /** `20260102030405` */
  readonly lastUpdated?: string | undefined;
  /** In their order. */
  readonly versions: readonly string[];
  readonly snapshot?: SnapshotBuild | undefined;
  readonly snapshotVersions: readonly SnapshotVersion[];
  readonly plugins: readonly GroupPlugin[];
}

/** Metadata as a document. */
export interface ParsedMetadata extends Parsed {
  readonly metadata: Metadata;
}

/** Reads metadata. @throws EntrepotError `upstream-unavailable` for what is none */
export async function readMetadata(content: Pick<Content, 'size' | 'stream'>, subject: string): Promise<Metadata> {
  const fields = new Map<string, string>();
  const versions: string[] = [];
  const snapshotVersions: SnapshotVersion[] = [];
  const plugins: GroupPlugin[] = [];
  let item = new Map<string, string>();
  let root: string | undefined;
  await readXml(content, subject, LARGEST_METADATA, {
    open(path) {
      root ??= path;
      if (path === SNAPSHOT_VERSION || path === PLUGIN) item = new Map();
    },
    close(path, text) {
      if (path === '/metadata/versioning/versions/version') versions.push(text);
      else if (path.startsWith(`${SNAPSHOT_VERSION}/`)) item.set(path.slice(SNAPSHOT_VERSION.length + 1), text);
      else if (path.startsWith(`${PLUGIN}/`)) item.set(path.slice(PLUGIN.length + 1), text);
      else if (path === SNAPSHOT_VERSION) {
        const { classifier, extension, value, updated = '' } = Object.fromEntries(item);
        if (extension && value)
          snapshotVersions.push({ classifier: classifier || undefined, extension, value, updated });
      } else if (path === PLUGIN) {
        const { name, prefix, artifactId } = Object.fromEntries(item);
        if (prefix && artifactId) plugins.push({ name, prefix, artifactId });
      } else if (FIELD.test(path) && text !== '') fields.set(path.slice(path.lastIndexOf('/') + 1), text);
    },
  });
  if (root !== '/metadata') throw malformed(subject, 'expected an element "metadata"');
  const { groupId, artifactId, version, latest, release, lastUpdated, ...snapshot } = Object.fromEntries(fields);
  const { timestamp, buildNumber, localCopy } = snapshot;
  return {
    groupId,
    artifactId,
    version,
    latest,
    release,
    lastUpdated,
    versions,
    snapshotVersions,
    plugins,
    snapshot: buildNumber || timestamp || localCopy ? { timestamp, buildNumber, localCopy } : undefined,
  };
}

const SNAPSHOT_VERSION = '/metadata/versioning/snapshotVersions/snapshotVersion';
const PLUGIN = '/metadata/plugins/plugin';
const FIELD =
  /^\/metadata\/(?:groupId|artifactId|version|versioning\/(?:latest|release|lastUpdated|snapshot\/(?:timestamp|buildNumber|localCopy)))$/;

/**
 * Joins what several repositories say of the same folder: all versions in Maven's order, the newest build, the newest file of each kind
 * of a snapshot, all plugins. Of plugins with the same prefix the first one counts.
 */
export function mergeMetadata(all: readonly Metadata[]): Metadata {
  const [first] = all as [Metadata];
  if (all.length === 1) return first;
  const versions = sortVersions(all.flatMap((one) => one.versions));
  const bySnapshot = [...all].sort((one, other) => compareBuilds(one.snapshot, other.snapshot));
  const files = new Map<string, SnapshotVersion>();
  for (const file of all.flatMap((one) => one.snapshotVersions)) {
    const kind = `${file.classifier ?? ''} ${file.extension}`;
    const known = files.get(kind);
    if (known === undefined || known.updated < file.updated) files.set(kind, file);
  }
  const plugins = new Map<string, GroupPlugin>();
  for (const plugin of all.flatMap((one) => one.plugins))
    if (!plugins.has(plugin.prefix)) plugins.set(plugin.prefix, plugin);
  const some = (name: 'groupId' | 'artifactId' | 'version'): string | undefined =>
    all.map((one) => one[name]).find((value) => value !== undefined);
  const has = (name: 'latest' | 'release'): boolean => all.some((one) => one[name] !== undefined);
  return {
    groupId: some('groupId'),
    artifactId: some('artifactId'),
    version: some('version'),
    latest: has('latest') ? versions.at(-1) : undefined,
    release: has('release') ? newestRelease(versions) : undefined,
    lastUpdated: all
      .flatMap((one) => one.lastUpdated ?? [])
      .sort()
      .at(-1),
    versions,
    snapshot: bySnapshot.at(-1)?.snapshot,
    snapshotVersions: [...files.values()],
    plugins: [...plugins.values()],
  };
}

/** The versions of `metadata` that `isAdmitted` says, and pointers to none of the others. */
export async function withoutVersions(metadata: Metadata, isAdmitted: (version: string) => boolean): Promise<Metadata> {
  const turns = new WorkTurns();
  const versions: string[] = [];
  for (const version of metadata.versions) {
    if (isAdmitted(version)) versions.push(version);
    await turns.pause();
  }
  if (versions.length === metadata.versions.length) return metadata;
  const sorted = sortVersions(versions);
  const kept = new Set(versions);
  const { latest, release } = metadata;
  return {
    ...metadata,
    versions,
    latest: latest === undefined || kept.has(latest) ? latest : sorted.at(-1),
    release: release === undefined || kept.has(release) ? release : newestRelease(sorted),
  };
}

/** Each version once, in Maven's order. */
export function sortVersions(versions: readonly string[]): string[] {
  const parsed = [...new Set(versions)].map((text) => ({ text, version: mavenOrder.parse(text) }));
  parsed.sort((one, other) => {
    if (one.version === undefined || other.version === undefined)
      return Number(other.version === undefined) - Number(one.version === undefined);
    return mavenOrder.compare(one.version, other.version);
  });
  return parsed.map(({ text }) => text);
}

/** The newest of sorted versions that is no snapshot. */
export function newestRelease(sorted: readonly string[]): string | undefined {
  return sorted.findLast((version) => !version.endsWith('SNAPSHOT'));
}

function compareBuilds(one: SnapshotBuild | undefined, other: SnapshotBuild | undefined): number {
  const [first, second] = [one, other].map((build) => build?.timestamp ?? '') as [string, string];
  if (first !== second) return first < second ? -1 : 1;
  return Number(one?.buildNumber ?? -1) - Number(other?.buildNumber ?? -1);
}

/** Writes metadata as Maven does. */
export function printMetadata(metadata: Metadata): string {
  const { groupId, artifactId, version, latest, release, lastUpdated, versions, snapshot } = metadata;
  const element = (name: string, value: string | undefined): string[] =>
    value === undefined ? [] : [`<${name}>${xmlText(value)}</${name}>`];
  const block = (name: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : [`<${name}>`, ...lines.map((line) => `  ${line}`), `</${name}>`];
  const fields = (item: object): string[] =>
    Object.entries(item as Record<string, string | undefined>).flatMap(([name, value]) => element(name, value));
  const lines = block('metadata', [
    ...[element('groupId', groupId), element('artifactId', artifactId), element('version', version)].flat(),
    ...block('versioning', [
      ...[element('latest', latest), element('release', release)].flat(),
      ...block(
        'versions',
        versions.flatMap((one) => element('version', one)),
      ),
      ...block('snapshot', fields(snapshot ?? {})),
      ...element('lastUpdated', lastUpdated),
      ...block(
        'snapshotVersions',
        metadata.snapshotVersions.flatMap((one) => block('snapshotVersion', fields(one))),
      ),
    ]),
    ...block(
      'plugins',
      metadata.plugins.flatMap((one) => block('plugin', fields(one))),
    ),
  ]);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${lines.join('\n') || '<metadata/>'}\n`;
}
