import { isPlainText, packageUrl, type Outcome, type PackageCoordinates } from '@entrepot/core';
import type { Dimension, StatisticsTable } from '../drivers/sql/schema.js';

/** A request that is over, as far as it is counted. */
export interface CountedRequest {
  readonly method: string;
  readonly status: number;
  /** Bytes of the body that were handed to the connection. */
  readonly bytes: number;
  readonly aborted: boolean;
}

/** The longest name that has a row of its own, in characters. */
const LONGEST_NAME = 500;

/** Numbers of requests, which grow in place: one is added for every hit. */
export class Counts {
  requests = 0;
  downloads = 0;
  bytes = 0;
  hits = 0;
  revalidated = 0;
  stale = 0;
  misses = 0;
  denied = 0;
  failed = 0;
  notModified = 0;
  ranges = 0;
  keptBytes = 0;

  add({ method, status, bytes, aborted }: CountedRequest, { name, isArtifact }: Outcome): void {
    this.requests += 1;
    this.bytes += bytes;
    if (status === 304) this.notModified += 1;
    else if (status === 206) this.ranges += 1;
    else if (isArtifact === true && status === 200 && method === 'GET' && !aborted) this.downloads += 1;
    switch (name) {
      case 'hit':
        this.hits += 1;
        this.keptBytes += bytes;
        break;
      case 'revalidated':
        this.revalidated += 1;
        this.keptBytes += bytes;
        break;
      case 'stale':
        this.stale += 1;
        this.keptBytes += bytes;
        break;
      case 'miss':
        this.misses += 1;
        break;
      case 'denied':
        this.denied += 1;
        break;
      case 'failed':
        this.failed += 1;
        break;
      default:
      // Of what is neither kept nor refused the number is the rest.
    }
  }
}

/** Numbers of one package. Its URL is printed when they are written, not for every hit. */
export class PackageCounts extends Counts {
  readonly coordinates: PackageCoordinates;

  constructor(coordinates: PackageCoordinates) {
    super();
    this.coordinates = coordinates;
  }
}

/** Numbers of one repository on one day. */
export class RepositoryCounts {
  readonly all = new Counts();
  readonly packages = new Map<string, PackageCounts>();
  readonly principals = new Map<string, Counts>();
  readonly otherPackages = new Counts();
  readonly otherPrincipals = new Counts();
  readonly anonymous = new Counts();
  upstreamRequests = 0;
  upstreamTime = 0;
  receivedBytes = 0;
  receiveTime = 0;

  /** Yields a row for each of its numbers that is not 0. */
  *rows(day: number, repository: string): Generator<StatisticsTable> {
    const row = (dimension: Dimension, name: string, counts: Counts): StatisticsTable => ({
      day,
      repository,
      dimension,
      name,
      requests: counts.requests,
      downloads: counts.downloads,
      bytes: counts.bytes,
      hits: counts.hits,
      revalidated: counts.revalidated,
      stale: counts.stale,
      misses: counts.misses,
      denied: counts.denied,
      failed: counts.failed,
      not_modified: counts.notModified,
      ranges: counts.ranges,
      kept_bytes: counts.keptBytes,
      upstream_requests: 0,
      upstream_time: 0,
      received_bytes: 0,
      receive_time: 0,
    });
    yield {
      ...row('all', '', this.all),
      upstream_requests: this.upstreamRequests,
      upstream_time: Math.round(this.upstreamTime),
      received_bytes: this.receivedBytes,
      receive_time: Math.round(this.receiveTime),
    };
    for (const counts of this.packages.values())
      yield row('package', packageUrl({ ...counts.coordinates, version: undefined }), counts);
    for (const [name, counts] of this.principals) yield row('principal', name, counts);
    for (const [dimension, counts] of [
      ['other-packages', this.otherPackages],
      ['other-principals', this.otherPrincipals],
      ['anonymous', this.anonymous],
    ] as const)
      if (counts.requests > 0) yield row(dimension, '', counts);
  }
}

/** Whether a row can have this name: databases take no NUL and no half of a character. */
export function mayBeNamed(name: string): boolean {
  return name.length <= LONGEST_NAME && isPlainText(name);
}
