import { EntrepotError, type Entry, type RenderRequest } from '@entrepot/core';
import { WorkTurns } from '@entrepot/core/formats';
import { FILES, type FileAttributes } from './hosted.js';
import { coordinatesOf, isSnapshot, readPath, type MavenFile, type MavenMetadata } from './layout.js';
import { newestRelease, sortVersions, type GroupPlugin, type Metadata, type SnapshotVersion } from './metadata.js';

type Admits = RenderRequest['admits'];

/** A file that is here, and the time of its upload: `20260102030405`. */
interface StoredFile {
  readonly file: MavenFile;
  readonly updated: string;
  readonly plugin: FileAttributes['plugin'];
}

/** Makes metadata from the files below its folder. @throws EntrepotError `not-found` where there is nothing to list */
export async function hostedMetadata(
  about: MavenMetadata,
  entries: AsyncIterable<Entry>,
  admits: Admits,
): Promise<Metadata> {
  const { group, artifact, version } = about;
  const found =
    version === undefined ? await versionsOf(about, entries, admits) : await buildsOf(about, entries, admits);
  if (found !== undefined) return found;
  const name = [group, artifact, version].filter((part) => part !== undefined && part !== '').join(':');
  throw new EntrepotError('not-found', `${name} has no versions here`);
}

async function versionsOf(
  { group, artifact }: MavenMetadata,
  entries: AsyncIterable<Entry>,
  admits: Admits,
): Promise<Metadata | undefined> {
  const versions = new Set<string>();
  const plugins = new Map<string, GroupPlugin>();
  let lastUpdated = '';
  for await (const { file, updated, plugin } of storedFiles(entries, admits)) {
    // A version is there once its POM is: it comes last.
    if (file.rest !== '.pom') continue;
    if (file.group === group && file.artifact === artifact) {
      versions.add(file.version);
      if (updated > lastUpdated) lastUpdated = updated;
    }
    const isInGroup = file.group === (group === '' ? artifact : `${group}.${artifact}`);
    if (isInGroup && plugin !== undefined)
      plugins.set(file.artifact, { name: plugin.name, prefix: plugin.prefix, artifactId: file.artifact });
  }
  if (versions.size === 0 && plugins.size === 0) return undefined;
  const sorted = sortVersions([...versions]);
  const named = versions.size > 0 ? { groupId: group, artifactId: artifact, lastUpdated } : {};
  return {
    ...named,
    latest: sorted.at(-1),
    release: newestRelease(sorted),
    versions: sorted,
    snapshotVersions: [],
    plugins: [...plugins.values()],
  };
}

async function buildsOf(
  { group, artifact, version }: MavenMetadata,
  entries: AsyncIterable<Entry>,
  admits: Admits,
): Promise<Metadata | undefined> {
  const newest = new Map<string, StoredFile>();
  let lastUpdated = '';
  let last: string | undefined;
  for await (const stored of storedFiles(entries, admits)) {
    const { file, updated } = stored;
    if (file.version !== version || file.group !== group || file.artifact !== artifact) continue;
    const known = newest.get(file.rest);
    if (known === undefined || isNewer(file.build, known.file.build)) newest.set(file.rest, stored);
    if (updated > lastUpdated) lastUpdated = updated;
    if (file.build !== undefined && isNewer(file.build, last)) last = file.build;
  }
  if (newest.size === 0) return undefined;
  const [timestamp, buildNumber] = last?.split('-') ?? [];
  return {
    groupId: group,
    artifactId: artifact,
    version,
    lastUpdated,
    versions: [],
    snapshot: last === undefined ? undefined : { timestamp, buildNumber },
    snapshotVersions: [...newest.values()].map(snapshotVersion),
    plugins: [],
  };
}

function isNewer(build: string | undefined, other: string | undefined): boolean {
  if (build === undefined || other === undefined) return build !== undefined;
  const [time = '', number] = build.split('-');
  const [otherTime = '', otherNumber] = other.split('-');
  return time === otherTime ? Number(number) > Number(otherNumber) : time > otherTime;
}

function snapshotVersion({ file, updated }: StoredFile): SnapshotVersion {
  const { rest, version, build } = file;
  const dot = rest.indexOf('.');
  const classifier = rest.startsWith('-') ? rest.slice(1, dot === -1 ? undefined : dot) : undefined;
  const value = build === undefined ? version : `${version.slice(0, -'SNAPSHOT'.length)}${build}`;
  return { classifier, extension: dot === -1 ? '' : rest.slice(dot + 1), value, updated };
}

async function* storedFiles(entries: AsyncIterable<Entry>, admits: Admits): AsyncGenerator<StoredFile> {
  const turns = new WorkTurns();
  for await (const { key, fetchedAt, attributes } of entries) {
    if (turns.over) await turns.next();
    const subject = readPath(key.slice(FILES.length).split('/'))?.subject;
    if (subject === undefined || subject.kind === 'metadata') continue;
    const coordinates = coordinatesOf(subject);
    if (coordinates !== undefined && !admits(coordinates)) continue;
    const updated = new Date(fetchedAt)
      .toISOString()
      .replace(/[^0-9]/g, '')
      .slice(0, 14);
    yield { file: subject, updated, plugin: (attributes as unknown as FileAttributes).plugin };
  }
}

/** Whether a version comes before the release that it is to become. */
export function isPrerelease(version: string): boolean {
  const words = version.toLowerCase().split(/[.-]/);
  return isSnapshot(version) || words.some((word) => /^(?:alpha|beta|milestone|rc|cr|m)\d*$/.test(word));
}
