import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { EntrepotError, printableUrl } from '@entrepot/core';
import type { Enrichment } from './advisories.js';
import { type Downloads, linesOf } from './download.js';

/** Lists of known exploitation: URLs, or paths of files. */
export interface EnrichmentSources {
  /** The catalogue of CISA: JSON with `vulnerabilities[].cveID`. */
  readonly kev?: string | undefined;
  /** `cve,epss,percentile` a line, after a comment and a heading; with `.gz` at the end, compressed. */
  readonly epss?: string | undefined;
}

const LARGEST_LIST = 256 * 1024 * 1024;
const CVE = /^CVE-(\d{4})-(\d{4,12})$/;
const FIRST_CAPACITY = 1 << 12;

/** The content of lists, without a revision. */
export type ListContent = Omit<Enrichment, 'revision'>;

/** Lists without content. */
export const NO_LISTS: ListContent = { isExploited: () => false, epss: () => undefined };

/** Probabilities of several hundred thousand CVEs in a few MB: sorted numbers beside each other. */
export class ExploitLists implements ListContent {
  readonly #exploited: ReadonlySet<string>;
  readonly #cves: Float64Array;
  readonly #probabilities: Float32Array;

  constructor(exploited: ReadonlySet<string>, epss: Iterable<readonly [cve: string, probability: number]>) {
    this.#exploited = exploited;
    let cves = new Float64Array(FIRST_CAPACITY);
    let probabilities = new Float32Array(FIRST_CAPACITY);
    let count = 0;
    for (const [cve, probability] of epss) {
      const number = cveNumber(cve);
      if (number === undefined) continue;
      if (count === cves.length) {
        cves = grown(cves, new Float64Array(count * 2));
        probabilities = grown(probabilities, new Float32Array(count * 2));
      }
      cves[count] = number;
      probabilities[count] = probability;
      count += 1;
    }
    const order = Uint32Array.from({ length: count }, (_, index) => index);
    order.sort((one, other) => (cves[one] as number) - (cves[other] as number));
    this.#cves = Float64Array.from(order, (index) => cves[index] as number);
    this.#probabilities = Float32Array.from(order, (index) => probabilities[index] as number);
  }

  isExploited(id: string): boolean {
    return this.#exploited.has(id);
  }

  epss(id: string): number | undefined {
    const number = cveNumber(id);
    if (number === undefined) return undefined;
    let low = 0;
    let high = this.#cves.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.#cves[middle] as number;
      if (found === number) return Math.round((this.#probabilities[middle] as number) * 1e5) / 1e5;
      if (found < number) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }
}

function grown<Column extends Float64Array | Float32Array>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}

/** The year and the number in one that sorts; exact up to twelve digits. */
function cveNumber(id: string): number | undefined {
  if (!id.startsWith('CVE-')) return undefined;
  const match = CVE.exec(id);
  return match === null ? undefined : (Number(match[1]) - 1990) * 1e12 + Number(match[2]);
}

/**
 * Reads the lists, if they are not those that `known` names.
 * @returns the lists and what they looked like; `undefined`: they are the same as before
 * @throws EntrepotError when one cannot be had
 */
export async function readLists(
  { kev, epss }: EnrichmentSources,
  downloads: Downloads,
  staging: string,
  known: string | undefined,
  signal: AbortSignal,
): Promise<{ lists: ListContent; looks: string } | undefined> {
  if (kev === undefined && epss === undefined) return undefined;
  const files = [await fetched(kev, join(staging, 'kev'), downloads, signal)];
  files.push(await fetched(epss, join(staging, 'epss'), downloads, signal));
  const [kevFile, epssFile] = files;
  const looks = files.map((file) => file?.looks ?? '').join('\n');
  if (looks === known) return undefined;
  const exploited = kevFile === undefined ? new Set<string>() : await readKev(kevFile.path, kev as string);
  const probabilities: [string, number][] = [];
  if (epssFile !== undefined) {
    for await (const line of listLines(epssFile.path, epss as string)) {
      const [cve = '', text = ''] = line.split(',');
      const probability = Number.parseFloat(text);
      if (CVE.test(cve) && probability >= 0 && probability <= 1) probabilities.push([cve, probability]);
    }
    if (probabilities.length === 0) throw unreadable(epss as string, 'lines of cve,epss,percentile');
  }
  return { lists: new ExploitLists(exploited, probabilities), looks };
}

/** The file of a list, and what tells it from another one. */
async function fetched(
  source: string | undefined,
  path: string,
  downloads: Downloads,
  signal: AbortSignal,
): Promise<{ path: string; looks: string } | undefined> {
  if (source === undefined) return undefined;
  if (isUrl(source)) {
    await downloads.save(new URL(source), path, signal, LARGEST_LIST);
    return { path, looks: await sumOf(path) };
  }
  const looks = await sumOf(source).catch((error: unknown) => {
    throw unreadable(source, 'a file', error);
  });
  return { path: source, looks };
}

async function sumOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

async function readKev(path: string, source: string): Promise<Set<string>> {
  const parts: Buffer[] = [];
  for await (const part of createReadStream(path) as AsyncIterable<Buffer>) parts.push(part);
  let catalogue: unknown;
  try {
    catalogue = JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch (error) {
    throw unreadable(source, 'JSON', error);
  }
  const listed = (catalogue as { vulnerabilities?: unknown } | null)?.vulnerabilities;
  if (!Array.isArray(listed)) throw unreadable(source, 'a list "vulnerabilities"');
  const ids = listed.map((each) => (each as { cveID?: unknown } | null)?.cveID);
  return new Set(ids.filter((id): id is string => typeof id === 'string' && CVE.test(id)));
}

async function* listLines(path: string, source: string): AsyncGenerator<string> {
  const file = createReadStream(path);
  try {
    yield* linesOf(source.endsWith('.gz') ? compose(file, createGunzip()) : file);
  } catch (error) {
    throw unreadable(source, 'a list of probabilities', error);
  } finally {
    file.destroy();
  }
}

/** `through` with the errors of `from`. */
function compose(from: Readable, through: Transform): Transform {
  from.once('error', (error) => through.destroy(error));
  return from.pipe(through);
}

/** Whether a source is fetched, and no file of this machine. */
export function isUrl(source: string): boolean {
  return /^https?:\/\//.test(source);
}

function unreadable(source: string, expected: string, cause?: unknown): EntrepotError {
  const name = isUrl(source) ? printableUrl(source) : source;
  return new EntrepotError('scan-unavailable', `${name}: expected ${expected}, found none that can be read`, {
    code: 'SCAN_DATABASE',
    cause,
  });
}
