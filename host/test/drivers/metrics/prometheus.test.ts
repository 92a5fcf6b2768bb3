import { AggregatorRegistry } from 'prom-client';
import type { Outcome } from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import { PrometheusMetrics } from '../../../src/drivers/metrics/prometheus.js';

const HIT: Outcome = { name: 'hit', repository: 'npm', resource: 'tarball' };

/** The sample lines whose name begins with `name`. */
async function samples(metrics: PrometheusMetrics, name: string): Promise<string[]> {
  return (await metrics.render()).split('\n').filter((line) => line.startsWith(name));
}

describe('requests', () => {
  it('are counted by repository, resource, outcome and status', async () => {
    const metrics = new PrometheusMetrics();
    metrics.observeRequest(HIT, 200, 0.002, 1000);
    metrics.observeRequest(HIT, 200, 0.2, 500);
    metrics.observeRequest({ ...HIT, name: 'failed', code: 'UPSTREAM_TIMEOUT' }, 504, 1, 0);
    expect(await samples(metrics, 'entrepot_requests_total')).toEqual([
      'entrepot_requests_total{repository="npm",resource="tarball",outcome="hit",status="200"} 2',
      'entrepot_requests_total{repository="npm",resource="tarball",outcome="failed",status="504"} 1',
    ]);
    expect(await samples(metrics, 'entrepot_response_bytes_total')).toEqual([
      'entrepot_response_bytes_total{repository="npm"} 1500',
    ]);
    const durations = await samples(metrics, 'entrepot_request_duration_seconds');
    expect(durations).toContain(
      'entrepot_request_duration_seconds_bucket{le="0.0025",repository="npm",outcome="hit"} 1',
    );
    expect(durations).toContain('entrepot_request_duration_seconds_count{repository="npm",outcome="hit"} 2');
    expect(durations).toContain('entrepot_request_duration_seconds_sum{repository="npm",outcome="failed"} 1');
  });

  it('do not make series without bound', async () => {
    const metrics = new PrometheusMetrics();
    for (let n = 0; n < 6000; n += 1) metrics.observeRequest({ ...HIT, resource: `class-${n}` }, 200, 0, 0);
    metrics.observeRequest({ ...HIT, resource: 'class-1' }, 200, 0, 0);
    const lines = await samples(metrics, 'entrepot_requests_total');
    expect(lines).toHaveLength(5001);
    expect(lines).toContain(
      'entrepot_requests_total{repository="other",resource="other",outcome="hit",status="200"} 1000',
    );
    expect(lines).toContain(
      'entrepot_requests_total{repository="npm",resource="class-1",outcome="hit",status="200"} 2',
    );
  });
});

it('counts what upstreams answer, in seconds', async () => {
  const metrics = new PrometheusMetrics();
  metrics.upstreamAnswered('npm', '200', 250);
  metrics.upstreamAnswered('npm', 'failed', 1000);
  metrics.upstreamAnswered('npm', '799', 125);
  metrics.upstreamAnswered('npm', '798', 125);
  expect(await samples(metrics, 'entrepot_upstream_requests_total')).toEqual([
    'entrepot_upstream_requests_total{repository="npm",status="200"} 1',
    'entrepot_upstream_requests_total{repository="npm",status="failed"} 1',
    'entrepot_upstream_requests_total{repository="npm",status="7xx"} 2',
  ]);
  expect(await samples(metrics, 'entrepot_upstream_request_duration_seconds_sum')).toEqual([
    'entrepot_upstream_request_duration_seconds_sum{repository="npm"} 1.5',
  ]);
});

it('shows what upstreams last said that they still take', async () => {
  const metrics = new PrometheusMetrics();
  metrics.upstreamRemaining('hub', 'https://registry.example.com/base', 76);
  metrics.upstreamRemaining('hub', 'https://registry.example.com/base', 75);
  expect(await samples(metrics, 'entrepot_upstream_remaining_requests')).toEqual([
    'entrepot_upstream_remaining_requests{repository="hub",upstream="registry.example.com"} 75',
  ]);
});

it('counts integrity failures', async () => {
  const metrics = new PrometheusMetrics();
  metrics.integrityFailed('npm');
  expect(await samples(metrics, 'entrepot_integrity_failures_total')).toEqual([
    'entrepot_integrity_failures_total{repository="npm"} 1',
  ]);
});

it('reads gauges when it is read, and adds up those of one name', async () => {
  const metrics = new PrometheusMetrics();
  let flights = 1;
  metrics.watch('flights', () => flights);
  metrics.watch('flights', () => 10);
  metrics.watch('spoolBytes', () => 512);
  expect(await samples(metrics, 'entrepot_flights')).toEqual(['entrepot_flights 11']);
  flights = 2;
  expect(await samples(metrics, 'entrepot_flights')).toEqual(['entrepot_flights 12']);
  expect(await samples(metrics, 'entrepot_spool_bytes')).toEqual(['entrepot_spool_bytes 512']);
  expect(await samples(metrics, 'entrepot_memory_cache_bytes')).toEqual(['entrepot_memory_cache_bytes 0']);
});

it('stands beside another one, each with the numbers of the process', async () => {
  const one = new PrometheusMetrics();
  const two = new PrometheusMetrics();
  one.integrityFailed('npm');
  expect(await samples(two, 'entrepot_integrity_failures_total')).toEqual([]);
  for (const name of ['process_resident_memory_bytes ', 'nodejs_eventloop_lag_p99_seconds ']) {
    expect(await samples(two, name)).toHaveLength(1);
  }
  expect(two.contentType).toMatch(/^text\/plain; version=/);
});

it('shows nothing for numbers that cannot be read', async () => {
  const metrics = new PrometheusMetrics();
  let isThere = true;
  const read = async (): Promise<number> => (isThere ? 7 : Promise.reject(new Error('no database')));
  metrics.watchSeries('entrepot_test_plain', 'Without labels.', [], async () => [{ labels: {}, value: await read() }]);
  metrics.watchSeries('entrepot_test_labelled', 'With one.', ['name'], async () => [
    { labels: { name: 'a' }, value: await read() },
  ]);
  expect(await samples(metrics, 'entrepot_test')).toEqual([
    'entrepot_test_plain 7',
    'entrepot_test_labelled{name="a"} 7',
  ]);
  isThere = false;
  expect(await samples(metrics, 'entrepot_test')).toEqual([]);
});

it('adds up what processes have of their own, and not what they all see', async () => {
  const processes = [1, 1].map((value) => {
    const metrics = new PrometheusMetrics();
    for (const name of ['spoolBytes', 'sharedCacheAway', 'policyFileInvalid'] as const)
      metrics.watch(name, () => value);
    return metrics;
  });
  const collected = await Promise.all(processes.map((metrics) => metrics.collect()));
  const text = await AggregatorRegistry.aggregate(collected as never).metrics();
  for (const line of ['entrepot_spool_bytes 2', 'entrepot_shared_cache_away 1', 'entrepot_policy_file_invalid 1'])
    expect(text.split('\n')).toContain(line);
});
