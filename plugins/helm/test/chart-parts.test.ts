import { describe, expect, it } from 'vitest';
import { ChartParts, PART_VERSIONS, type KeptPart } from '../src/chart-parts.js';
import type { IndexEntry } from '../src/index-fragment.js';
import { newestFirst } from '../src/version-order.js';

function entry(version: string): IndexEntry {
  return { name: 'x', version, apiVersion: 'v2', urls: [`charts/x-${version}.tgz`] };
}

/** The parts of a chart as a repository keeps them. */
class Kept {
  readonly parts = new Map<number, readonly IndexEntry[]>();
  written = 0;

  open(): ChartParts {
    const parts = Array.from(this.parts, ([number, entries]): KeptPart => {
      return { number, versions: entries.map(({ version }) => version), read: async () => entries };
    });
    return new ChartParts(parts);
  }

  async change(change: (parts: ChartParts) => Promise<void>): Promise<void> {
    const parts = this.open();
    await change(parts);
    const { put, remove } = await parts.changes();
    for (const { number, entries } of put) {
      this.parts.set(number, entries);
      this.written += entries.length;
    }
    for (const number of remove) this.parts.delete(number);
  }
}

/** Numbers that look like chance, and are the same each time. */
function* chance(): Generator<number> {
  for (let state = 1; ;) {
    state = (state * 48_271) % 2_147_483_647;
    yield state;
  }
}

describe('the parts of a chart', () => {
  it('hold its versions in their order, whatever comes and goes', async () => {
    const kept = new Kept();
    const numbers = chance();
    const wanted = new Set<string>();
    for (let step = 0; step < 2_000; step += 1) {
      const version = `${numbers.next().value % 7}.${numbers.next().value % 40}.0${step % 3 === 0 ? '' : '-rc.1'}`;
      const goes = numbers.next().value % 3 === 0 || step > 1_600;
      const [any] = wanted;
      if (goes && any !== undefined) {
        wanted.delete(any);
        await kept.change((parts) => parts.remove(any));
      } else {
        wanted.add(version);
        await kept.change((parts) => parts.put(entry(version)));
      }
      expect(kept.parts.size === 0 || kept.parts.has(0)).toBe(true);
      expect([...kept.parts.values()].every(({ length }) => length > 0 && length <= PART_VERSIONS)).toBe(true);
    }
    const all = (await kept.open().all()).map(({ version }) => version);
    expect(all).toEqual(newestFirst([...wanted].map(entry)).map(({ version }) => version));
  });

  it('are full but for the newest where versions come in their order', async () => {
    const kept = new Kept();
    for (let at = 0; at < 1_000; at += 1) await kept.change((parts) => parts.put(entry(`1.${at}.0`)));
    expect(kept.parts.size).toBe(Math.ceil(1_000 / PART_VERSIONS));
    expect(kept.written).toBeLessThan((1_000 * (PART_VERSIONS + 1)) / 2);
  });

  it('hold one version of a spelling', async () => {
    const kept = new Kept();
    for (const version of ['1.0.0', '1.0.0+a', '1.0.0+b', '1.0.0', '1.0.0+a']) {
      await kept.change((parts) => parts.put(entry(version)));
    }
    expect((await kept.open().all()).map(({ version }) => version)).toEqual(['1.0.0', '1.0.0+b', '1.0.0+a']);
  });
});
