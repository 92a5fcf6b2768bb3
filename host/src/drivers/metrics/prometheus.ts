import type { Outcome } from '@entrepot/core';
import type { DecisionRecord, EngineObserver } from '@entrepot/core/engine';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { STATUS_CODES } from '../../node-http.js';

/** Seconds. A hit takes well under a millisecond, a large cold artifact minutes. */
const REQUEST_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const UPSTREAM_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Label values come from the configuration, from plugins and from tables; should they still run wild, the rest is one series. */
const MAX_SERIES = 5000;
const OTHER = 'other';

/** Names and meanings, and what several processes on one store make of theirs. */
const GAUGES = {
  flights: ['entrepot_flights', 'Fetches from upstreams that are running.', 'sum'],
  spoolBytes: ['entrepot_spool_bytes', 'Bytes of running fetches on disk.', 'sum'],
  memoryCacheBytes: ['entrepot_memory_cache_bytes', 'Bytes of small blobs and rendered documents in memory.', 'sum'],
  sharedCacheAway: [
    'entrepot_shared_cache_away',
    '1 while the shared cache (Redis) is not asked: it is down, or has not answered in time.',
    'max',
  ],
  waitingForScans: ['entrepot_scan_waiting_clients', 'Clients that wait for the reports of scanners.', 'sum'],
  policyFileInvalid: [
    'entrepot_policy_file_invalid',
    '1 while the policy file is refused and the one before is in force.',
    'max',
  ],
  policySince: [
    'entrepot_policy_since_seconds',
    'When the policy in force was put there, seconds since the epoch.',
    'max',
  ],
} as const satisfies Record<string, readonly [name: string, help: string, aggregator: 'max' | 'sum']>;

export type GaugeName = keyof typeof GAUGES;

interface Series {
  readonly requests: Counter.Internal;
  readonly duration: Histogram.Internal<string>;
  readonly bytes?: Counter.Internal;
}

/** Metrics for Prometheus, in a registry of their own: two of them in one process do not meet. */
export class PrometheusMetrics implements EngineObserver {
  readonly #registry = new Registry();
  readonly #requests = this.#counter('entrepot_requests_total', 'Requests for repositories.', [
    'repository',
    'resource',
    'outcome',
    'status',
  ]);
  readonly #duration = this.#histogram(
    'entrepot_request_duration_seconds',
    'From the request to the end of its reply.',
    ['repository', 'outcome'],
    REQUEST_BUCKETS,
  );
  readonly #bytes = this.#counter('entrepot_response_bytes_total', 'Bytes of reply bodies.', ['repository']);
  readonly #upstreamRequests = this.#counter(
    'entrepot_upstream_requests_total',
    'Requests to upstreams; the status is `failed` where there was no reply.',
    ['repository', 'status'],
  );
  readonly #upstreamDuration = this.#histogram(
    'entrepot_upstream_request_duration_seconds',
    'From the request to the head of the reply, or to the failure.',
    ['repository'],
    UPSTREAM_BUCKETS,
  );
  readonly #received = this.#counter(
    'entrepot_upstream_received_bytes_total',
    'Bytes of whole bodies that upstreams sent.',
    ['repository'],
  );
  readonly #clusterFetches = this.#counter(
    'entrepot_cluster_fetches_total',
    'Fetches in a cluster: `led` by this server, `followed` at another one, `lost` where another one took over.',
    ['role'],
  );
  readonly #integrityFailures = this.#counter(
    'entrepot_integrity_failures_total',
    'Fetched bytes that were not what the ecosystem promised.',
    ['repository'],
  );
  readonly #upstreamRemaining = new Gauge({
    name: 'entrepot_upstream_remaining_requests',
    help: 'Requests that an upstream said it still takes.',
    labelNames: ['repository', 'upstream'],
    registers: [this.#registry],
  });
  readonly #upstreamDown = new Gauge({
    name: 'entrepot_upstream_down',
    help: '1 while an upstream is left alone, since it has failed several times in a row.',
    labelNames: ['repository', 'upstream'],
    registers: [this.#registry],
    aggregator: 'max',
  });
  readonly #decisions = this.#counter(
    'entrepot_policy_decisions_total',
    'Requests for artifacts on which a rule fired, by rule and by what became of it.',
    ['repository', 'rule', 'action'],
  );
  readonly #verifiedBlobs = this.#counter(
    'entrepot_verified_blobs_total',
    'Blobs that were compared with their digests, by their condition: intact, damaged, missing or unreadable.',
    ['condition'],
  );
  readonly #healedBlobs = this.#counter(
    'entrepot_healed_blobs_total',
    'Damaged or missing blobs whose bytes are back.',
    [],
  );
  readonly #deletedBlobs = this.#counter(
    'entrepot_storage_deleted_blobs_total',
    'Blobs that this process deleted: for want of room, since nobody needed them, or on demand.',
    ['reason'],
  );
  readonly #deletedBytes = this.#counter(
    'entrepot_storage_deleted_bytes_total',
    'Bytes of the blobs that it deleted.',
    ['reason'],
  );
  readonly #unfinished = this.#counter(
    'entrepot_storage_unfinished_uploads_total',
    'Uploads that were left unfinished in the store, and that this process removed.',
    [],
  );
  readonly #sharedCache = this.#counter(
    'entrepot_shared_cache_requests_total',
    'Questions to the shared cache (Redis), by what came of them: hit, miss, failed, or skipped while it was away.',
    ['outcome'],
  );
  /** Labels are resolved once, not for every request. */
  readonly #requestSeries = new Map<string, Series>();
  readonly #upstreamSeries = new Map<string, Series>();
  readonly #watched = new Set<{ readonly name: GaugeName; readonly read: () => number }>();

  constructor() {
    for (const name of Object.keys(GAUGES) as GaugeName[]) this.#gauge(name);
    collectDefaultMetrics({ register: this.#registry });
  }

  /** The media type of `render`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics as text. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  /** All metrics, for those who add them up with those of other processes. */
  async collect(): Promise<readonly object[]> {
    return await this.#registry.getMetricsAsJSON();
  }

  /** Counts a request that is over. `seconds` until the last byte of its reply, `bytes` of its body. */
  observeRequest({ repository, resource, name }: Outcome, status: number, seconds: number, bytes: number): void {
    const key = `${repository}\n${resource}\n${name}\n${status}`;
    const series = seriesOf(this.#requestSeries, key, (full) => {
      const labels = full ? { repository: OTHER, resource: OTHER } : { repository, resource };
      return {
        requests: this.#requests.labels({ ...labels, outcome: name, status: statusLabel(String(status)) }),
        duration: this.#duration.labels({ repository: labels.repository, outcome: name }),
        bytes: this.#bytes.labels({ repository: labels.repository }),
      };
    });
    series.requests.inc();
    series.duration.observe(seconds);
    if (bytes > 0) series.bytes?.inc(bytes);
  }

  upstreamAnswered(repository: string, status: string, duration: number): void {
    const series = seriesOf(this.#upstreamSeries, `${repository}\n${status}`, (full) => {
      const labels = { repository: full ? OTHER : repository };
      return {
        requests: this.#upstreamRequests.labels({ ...labels, status: statusLabel(status) }),
        duration: this.#upstreamDuration.labels(labels),
      };
    });
    series.requests.inc();
    series.duration.observe(duration / 1000);
  }

  received(repository: string, bytes: number): void {
    this.#received.inc({ repository }, bytes);
  }

  upstreamRemaining(repository: string, upstream: string, remaining: number): void {
    this.#upstreamRemaining.set({ repository, upstream: new URL(upstream).host }, remaining);
  }

  upstreamHealth(repository: string, upstream: string, isDown: boolean): void {
    this.#upstreamDown.set({ repository, upstream: new URL(upstream).host }, Number(isDown));
  }

  /** Shows these upstreams, and no others, as healthy. */
  expectUpstreams(upstreams: readonly { readonly repository: string; readonly url: string }[]): void {
    this.#upstreamDown.reset();
    for (const { repository, url } of upstreams) this.upstreamHealth(repository, url, false);
  }

  clusterFetched(role: 'led' | 'followed' | 'lost'): void {
    this.#clusterFetches.inc({ role });
  }

  integrityFailed(repository: string): void {
    this.#integrityFailures.inc({ repository });
  }

  blobVerified(condition: string): void {
    this.#verifiedBlobs.inc({ condition });
  }

  blobHealed(): void {
    this.#healedBlobs.inc();
  }

  decided({ repository, decision }: DecisionRecord): void {
    for (const { id, action, wouldBe } of decision.rules) {
      this.#decisions.inc({ repository, rule: id, action: wouldBe === undefined ? action : `would-${wouldBe}` });
    }
  }

  sharedCacheAsked(outcome: string): void {
    this.#sharedCache.inc({ outcome });
  }

  /** Counts blobs that were deleted, for a reason. */
  blobsDeleted(reason: string, { blobs, bytes }: { readonly blobs: number; readonly bytes: number }): void {
    this.#deletedBlobs.inc({ reason }, blobs);
    this.#deletedBytes.inc({ reason }, bytes);
  }

  /** Counts unfinished uploads that were removed. */
  unfinishedRemoved(count: number): void {
    this.#unfinished.inc(count);
  }

  /**
   * Shows what `read` gives whenever the metrics are read: a series for each set of labels. What it rejects with is left to
   * the reader: these numbers are then missing.
   * @param aggregator of several processes on one store, which mostly all see the same
   * @returns a function that ends this
   */
  watchSeries<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    read: () => Promise<readonly { readonly labels: Readonly<Record<Label, string>>; readonly value: number }[]>,
    aggregator: 'max' | 'sum' = 'max',
  ): () => void {
    const gauge = new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      aggregator,
      async collect() {
        const series = await read().catch(() => []);
        gauge.reset();
        // Without labels that has set it to 0.
        if (labelNames.length === 0) gauge.remove();
        for (const { labels, value } of series) gauge.set(labels, value);
      },
    });
    return () => this.#registry.removeSingleMetric(name);
  }

  /**
   * Shows what `read` gives whenever the metrics are read; several of one name add up. Must be quick and must not throw.
   * @returns a function that ends this
   */
  watch(name: GaugeName, read: () => number): () => void {
    const watched = { name, read };
    this.#watched.add(watched);
    return () => void this.#watched.delete(watched);
  }

  #counter<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.#registry] });
  }

  #histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    buckets: number[],
  ): Histogram<Label> {
    return new Histogram({ name, help, labelNames: [...labelNames], buckets, registers: [this.#registry] });
  }

  #gauge(name: GaugeName): void {
    const [metric, help, aggregator] = GAUGES[name];
    const read = async () => {
      const own = [...this.#watched].filter((one) => one.name === name);
      return [{ labels: {}, value: own.reduce((sum, { read: one }) => sum + one(), 0) }];
    };
    this.watchSeries(metric, help, [], read, aggregator);
  }
}

/** The series of `key`. @param make resolves its labels, or those of the rest where there are too many */
function seriesOf(known: Map<string, Series>, key: string, make: (full: boolean) => Series): Series {
  const found = known.get(key);
  if (found !== undefined) return found;
  const full = known.size >= MAX_SERIES;
  const series = make(full);
  if (!full) known.set(key, series);
  return series;
}

/** Upstreams may send any three digits: those that mean nothing are one label a class. */
function statusLabel(status: string): string {
  if (status in STATUS_CODES || !/^\d{3}$/.test(status)) return status;
  return `${status[0]}xx`;
}
