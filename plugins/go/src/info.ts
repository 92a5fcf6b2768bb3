import { EntrepotError } from '@entrepot/core';
import type { ArtifactDescription, Content, Parsed, RenderRequest, Resource } from '@entrepot/core';
import { isRecord, malformed, parseJson } from '@entrepot/core/formats';
import { coordinatesOf, moduleOf } from './module-path.js';
import { isCanonicalVersion } from './version.js';

/** The largest `.info`, in bytes. */
export const LARGEST_INFO = 1024 * 1024;
/** RFC 3339, as Go prints a time. */
export const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

/** Bytes that one takes in memory, about. */
const WEIGHT = 500;

/** An `.info`. */
export interface Info extends Parsed {
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly publishedAt: number | undefined;
}

/**
 * Reads an `.info`.
 * @throws EntrepotError `upstream-unavailable` when it is none
 */
export async function parseInfo(content: Content, { key }: Pick<Resource, 'key'>): Promise<Info> {
  const info = parseJson(Buffer.from(await content.bytes(LARGEST_INFO)).toString('utf8'));
  if (info === undefined) throw malformed(key, 'expected JSON');
  // As encoding/json takes them: in any case.
  const members = isRecord(info) ? Object.entries(info) : [];
  const named = new Map(members.map(([name, value]) => [name.toLowerCase(), value]));
  const version = named.get('version');
  const time = named.get('time') ?? undefined;
  if (typeof version !== 'string' || !isCanonicalVersion(version)) {
    throw malformed(key, 'expected a canonical "Version"');
  }
  if (time !== undefined && (typeof time !== 'string' || !TIME.test(time))) {
    throw malformed(key, 'expected a "Time" as RFC 3339 has it');
  }
  const publishedAt = Date.parse(time ?? '');
  return { weight: WEIGHT, version, publishedAt: Number.isNaN(publishedAt) ? undefined : publishedAt };
}

/** Reads the `.info` of a version as the description of its zip. One of another version describes nothing. */
export async function parseDate(content: Content, resource: Resource): Promise<Parsed> {
  const { path } = moduleOf(resource);
  const { weight, version, publishedAt } = await parseInfo(content, resource);
  const described = new Map<string, ArtifactDescription>();
  if (version === resource.attributes?.['version'])
    described.set(zipKey(path, version), describeVersion(path, version, publishedAt));
  return { weight, describe: (key) => described.get(key), descriptions: () => described };
}

/** Describes a version by its date. */
export function describeVersion(path: string, version: string, publishedAt: number | undefined): ArtifactDescription {
  return { integrity: [], coordinates: coordinatesOf(path, version), publishedAt };
}

/** Gives the key of the zip that a description is of. */
export function zipKey(path: string, version: string): string {
  return `${path}/@v/${version}.zip`;
}

/**
 * Passes on what a query stands for.
 * @throws EntrepotError `policy-denied` for a version that is not admitted
 */
export function renderQuery(
  info: Info | undefined,
  { resource, content, admits, refusal }: RenderRequest,
): AsyncIterable<Uint8Array> {
  const { path } = moduleOf(resource);
  if (info === undefined) throw new EntrepotError('not-found', `${resource.key} does not exist`);
  const { version, publishedAt } = info;
  const [coordinates, description] = [coordinatesOf(path, version), describeVersion(path, version, publishedAt)];
  if (admits(coordinates, description)) return content.stream();
  const why = refusal(coordinates, description);
  throw new EntrepotError('policy-denied', why ?? `${path}@${version} is not admitted here`);
}
