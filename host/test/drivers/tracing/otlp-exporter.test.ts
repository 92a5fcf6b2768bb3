import { silentLogger, type LogFields } from '@entrepot/core';
import { expect, it, onTestFinished } from 'vitest';
import { DEFAULT_TRANSPORT } from '../../../src/config/schema.js';
import { OtlpExporter, type EndedSpan } from '../../../src/drivers/tracing/otlp-exporter.js';
import { openTransport } from '../../../src/drivers/upstream/open-transport.js';
import { startCollector } from './collector.js';

const SPAN: EndedSpan = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  parentSpanId: undefined,
  name: 'GET npm',
  kind: 'server',
  start: 1_767_225_600_000,
  end: 1_767_225_600_012.345,
  attributes: { text: 'a', whole: 7, part: 0.5, yes: true, none: undefined },
};

async function exporting(url?: string) {
  const collector = await startCollector();
  const warnings: [string, LogFields][] = [];
  const exporter = new OtlpExporter({
    url: new URL(url ?? `${collector.url}/v1/traces`),
    headers: { authorization: 'Bearer secret' },
    serviceName: 'packages',
    transport: openTransport(DEFAULT_TRANSPORT, {}),
    logger: { ...silentLogger, warn: (fields, message) => void warnings.push([message, fields]) },
    interval: 3_600_000,
  });
  onTestFinished(() => exporter.dispose());
  return { collector, exporter, warnings };
}

it('posts what a collector reads', async () => {
  const { collector, exporter } = await exporting();
  exporter.add(SPAN);
  exporter.add({ ...SPAN, kind: 'client', parentSpanId: '00f067aa0ba902b7', error: 'it broke' });
  await exporter.flush();
  expect(collector.posts).toEqual([
    {
      url: '/v1/traces',
      service: 'packages',
      headers: expect.objectContaining({ 'content-type': 'application/json', authorization: 'Bearer secret' }),
    },
  ]);
  const { error: _none, start: _start, ...same } = { ...SPAN, error: undefined };
  expect(collector.spans).toEqual([
    {
      ...same,
      parentSpanId: undefined,
      kind: 2,
      attributes: { text: 'a', whole: 7, part: 0.5, yes: true },
      start: 1_767_225_600_000_000_000n,
      end: 1_767_225_600_012_345_000n,
    },
    expect.objectContaining({ kind: 3, parentSpanId: '00f067aa0ba902b7', status: { code: 2, message: 'it broke' } }),
  ]);
});

it('posts in batches, and what is left at the end', async () => {
  const { collector, exporter } = await exporting();
  for (let at = 0; at < 1100; at += 1) exporter.add(SPAN);
  await exporter.dispose();
  expect(collector.spans).toHaveLength(1100);
  expect(collector.posts).toHaveLength(3);
});

it('keeps spans for a collector that is busy, drops those of one that refuses them, and says so once', async () => {
  const { collector, exporter, warnings } = await exporting();
  collector.answers.push(503, 429, 200, 400, 400);
  exporter.add(SPAN);
  for (let again = 0; again < 3; again += 1) await exporter.flush();
  expect(collector.spans).toHaveLength(1);
  expect(warnings.map(([message]) => message)).toEqual(['traces cannot be delivered to the collector']);
  for (let again = 0; again < 2; again += 1) {
    exporter.add(SPAN);
    await exporter.flush();
  }
  exporter.add(SPAN);
  await exporter.flush();
  expect(collector.spans).toHaveLength(2);
  expect(warnings.slice(1).map(([message, { spans }]) => [message, spans])).toEqual([
    ['traces cannot be delivered to the collector', undefined],
    ['spans were dropped: the collector was away or too slow', 2],
  ]);
});

it('holds a bounded number of spans while the collector is away', async () => {
  const { exporter, warnings } = await exporting('http://127.0.0.1:1/v1/traces');
  for (let at = 0; at < 10_000; at += 1) exporter.add(SPAN);
  await exporter.flush();
  expect(warnings).toHaveLength(1);
  expect(String(warnings[0]?.[1]['endpoint'])).toBe('http://127.0.0.1:1/v1/traces');
});
