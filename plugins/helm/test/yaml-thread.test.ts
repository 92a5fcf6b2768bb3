import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { stream } from './fixtures.js';

const BUILT = join(import.meta.dirname, '../dist');

// A thread runs what was built, so this tests what was built, as the other tests do not.
const { INDEX_TABLE } = (await import(
  /* @vite-ignore */ join(BUILT, 'upstream-index.js')
)) as typeof import('../src/upstream-index.js');
const thread = (await import(
  /* @vite-ignore */ join(BUILT, 'yaml-thread.js')
)) as typeof import('../src/yaml-thread.js');

async function count(index: string): Promise<unknown> {
  const bytes = Buffer.from(index);
  const content = { size: bytes.length, mediaType: 'text/yaml', stream: () => stream(bytes, 65_536) };
  const table = await INDEX_TABLE.maker.read(content, { indexUrl: 'https://charts.example.com/index.yaml' });
  const summary = JSON.parse(table.get('')?.toString() ?? '') as { versions: number };
  expect(table.size).toBe(summary.versions + 1);
  return summary;
}

function index(charts: number, versions: number): string {
  const lines = ['apiVersion: v1\nentries:\n'];
  for (let chart = 0; chart < charts; chart += 1) {
    lines.push(`  chart-${chart}:\n`);
    for (let version = 0; version < versions; version += 1) {
      lines.push(
        `  - name: chart-${chart}\n    version: 1.${version}.0\n    description: ${'text '.repeat(20)}\n    urls:\n    - x-${version}.tgz\n`,
      );
    }
  }
  return lines.join('');
}

describe('a thread that reads YAML', () => {
  it('reads an index while others are answered', async () => {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const text = index(100, 100);
    delay.enable();
    expect(await count(text)).toEqual({ charts: 100, versions: 10_000, skipped: 0 });
    delay.disable();
    expect(delay.percentile(90) / 1e6).toBeLessThan(50);
  });

  it('says what is wrong, and leaves the next one alone', async () => {
    await expect(count('apiVersion: v1\nentries:\n  x:\n  - name: x\n    name: y\n')).rejects.toThrow(
      'malformed YAML in line 5',
    );
    await expect(count('<html>')).rejects.toThrow('expected the index');
    expect(await count(`{"apiVersion":"v1","entries":{}}`)).toEqual({ charts: 0, versions: 0, skipped: 0 });
  });

  it('serves several in turn', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => count(index(2, 3))));
    expect(all).toEqual(all.map(() => ({ charts: 2, versions: 6, skipped: 0 })));
  });

  it('turns values into JSON', async () => {
    const lines = Array.from({ length: 10_000 }, (_, at) => `key${at}: [1, yes]\n`).join('');
    const values = JSON.parse(await thread.parseYamlAside(Buffer.from(lines))) as Record<string, unknown>;
    expect([Object.keys(values).length, values['key9999']]).toEqual([10_000, [1, true]]);
    await expect(thread.parseYamlAside(Buffer.from(`${lines}{`))).rejects.toThrow('malformed YAML');
  });
});
