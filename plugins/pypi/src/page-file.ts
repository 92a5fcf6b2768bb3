import { parseHex, type Integrity, type IntegrityAlgorithm } from '@entrepot/core';
import { isFileName, tagOf, versionOf } from './names.js';
import { decodeSegment } from './segment.js';

/** Hashes by algorithm, in lower-case hex. */
export type Hashes = Readonly<Record<string, string>>;

/** One file of a project page, whatever form the page has. Source: PEP 503, 592, 658, 691, 700, 714, 740. */
export interface PageFile {
  readonly filename: string;
  /** As the page has it, without the fragment: absolute, or relative to the page. */
  readonly url: string;
  readonly hashes: Hashes;
  /** Normalised. */
  readonly version: string;
  /** The segment of our URL that tells it from other files of the same name. */
  readonly tag: string;
  readonly requiresPython: string | undefined;
  /** Hashes of the metadata sidecar; `true` where the page says only that there is one. */
  readonly coreMetadata: Hashes | true | undefined;
  /** `true`, or the reason. Other falsy values mean that it is not yanked, as for pip. */
  readonly yanked: boolean | string;
  /** Bytes. */
  readonly size: number | undefined;
  /** ISO 8601, as the page has it. */
  readonly uploadTime: string | undefined;
  readonly signed: boolean | undefined;
  /** An absolute URL. */
  readonly provenance: string | undefined;
}

/** A file as the upstream spells it. `coreMetadata` is absent or `false` where there is none, `true`, or hashes. */
export type RawFile = Readonly<Partial<Record<keyof Omit<PageFile, 'version' | 'tag'>, unknown>>>;

const ALGORITHM = /^[a-z][a-z0-9_]{1,15}$/;
const HEX = /^[0-9a-f]{16,256}$/;
/** Of one text of a file: a reason, a specifier, a URL. Characters. */
const TEXT_LIMIT = 8192;

/** The file that `raw` is; `undefined` for what is none of `project`'s: a client would not take it either. */
export function readFile(project: string, raw: RawFile): PageFile | undefined {
  const url = locationOf(raw.url);
  if (url === undefined) return undefined;
  const filename = typeof raw.filename === 'string' ? raw.filename : lastSegment(url);
  if (filename === undefined || !isFileName(filename)) return undefined;
  const version = versionOf(filename, project);
  if (version === undefined) return undefined;
  const hashes = readHashes(raw.hashes);
  return {
    filename,
    url,
    hashes,
    version,
    tag: tagOf(hashes, url),
    requiresPython: text(raw.requiresPython),
    coreMetadata: readCoreMetadata(raw.coreMetadata),
    yanked: raw.yanked === true || (text(raw.yanked) ?? false),
    size: typeof raw.size === 'number' && Number.isSafeInteger(raw.size) && raw.size >= 0 ? raw.size : undefined,
    uploadTime: text(raw.uploadTime),
    signed: typeof raw.signed === 'boolean' ? raw.signed : undefined,
    provenance: text(raw.provenance),
  };
}

/** A URL or a relative reference that leads to an http server, without its fragment. */
function locationOf(url: unknown): string | undefined {
  const found = text(url)?.trim().split('#', 1)[0];
  if (found === undefined || found === '') return undefined;
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(found)?.[1]?.toLowerCase();
  return scheme === undefined || scheme === 'https' || scheme === 'http' ? found : undefined;
}

/** PEP 503: the last segment of the URL is the file name. */
function lastSegment(url: string): string | undefined {
  const path = url.split('?', 1)[0] as string;
  return decodeSegment(path.slice(path.lastIndexOf('/') + 1));
}

function readHashes(found: unknown): Hashes {
  const hashes: Record<string, string> = {};
  if (typeof found !== 'object' || found === null) return hashes;
  for (const [algorithm, value] of Object.entries(found) as [string, unknown][]) {
    const hex = typeof value === 'string' ? value.trim().toLowerCase() : '';
    if (ALGORITHM.test(algorithm) && HEX.test(hex)) hashes[algorithm] = hex;
  }
  return hashes;
}

/** A promise that cannot be read is none: what is advertised must be servable. */
function readCoreMetadata(value: unknown): PageFile['coreMetadata'] {
  if (value === true) return true;
  const hashes = readHashes(value);
  return Object.keys(hashes).length > 0 ? hashes : undefined;
}

/** A text that is there; the empty one is not. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= TEXT_LIMIT ? value : undefined;
}

/** Algorithms that can be checked, the strongest first. */
const CHECKED: readonly IntegrityAlgorithm[] = ['sha512', 'sha384', 'sha256', 'sha1', 'md5'];

/** Picks the strongest of `hashes` that can be checked. */
export function integrityOf(hashes: Hashes): readonly Integrity[] {
  return CHECKED.flatMap((algorithm) => parseHex(algorithm, hashes[algorithm] ?? '') ?? []).slice(0, 1);
}

/** Milliseconds since the epoch; `undefined` for no time, or none that can be read. */
export function instantOf(time: string | undefined): number | undefined {
  if (time === undefined) return undefined;
  // PEP 700 asks for UTC; a time that does not say its zone is not ours.
  const at = Date.parse(/(?:Z|[+-]\d{2}:?\d{2})$/i.test(time) ? time : `${time}Z`);
  return Number.isNaN(at) ? undefined : at;
}
