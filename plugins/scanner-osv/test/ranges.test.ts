import { describe, expect, it } from 'vitest';
import { compare } from 'semver';
import type { OsvEvent } from '../src/osv-record.js';
import { Candidate, compileRange, evaluateRange } from '../src/ranges.js';

const VERSIONS = ['0.1.0', '1.0.0-rc.1', '1.0.0', '1.0.1', '1.2.0', '1.10.0', '2.0.0-0', '2.0.0', '3.0.0'];
const KINDS = ['introduced', 'fixed', 'last_affected', 'limit'] as const;

/** The algorithm of the OSV schema as it stands there, for events of which no two are at one version. */
function isAffected(events: readonly OsvEvent[], version: string): boolean {
  const at = (event: OsvEvent): number => (event.version === '0' ? -1 : VERSIONS.indexOf(event.version));
  const limits = events.filter(({ kind }) => kind === 'limit');
  if (limits.length > 0 && !limits.some((limit) => compare(version, limit.version) < 0)) return false;
  let affected = false;
  for (const event of events.toSorted((one, other) => at(one) - at(other))) {
    const order = event.version === '0' ? 1 : compare(version, event.version);
    if (event.kind === 'introduced' && order >= 0) affected = true;
    if (event.kind === 'fixed' && order >= 0) affected = false;
    if (event.kind === 'last_affected' && order > 0) affected = false;
  }
  return affected;
}

/** The same numbers every time (mulberry32). */
function generator(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('ranges', () => {
  it('are what the algorithm of the schema makes of them', () => {
    const random = generator(1);
    let affected = 0;
    for (let round = 0; round < 5000; round += 1) {
      const free = [...VERSIONS];
      const events: OsvEvent[] = random() < 0.5 ? [{ kind: 'introduced', version: '0' }] : [];
      for (let more = Math.floor(random() * 5); more > 0; more -= 1) {
        const [version] = free.splice(Math.floor(random() * free.length), 1) as [string];
        events.push({ kind: KINDS[Math.floor(random() * (random() < 0.1 ? 4 : 3))] as OsvEvent['kind'], version });
      }
      const range = compileRange('npm', { type: 'SEMVER', events });
      for (const version of VERSIONS) {
        const expected = isAffected(events, version);
        if (expected) affected += 1;
        expect(evaluateRange(range, new Candidate(version))?.affected, `${version} in ${JSON.stringify(events)}`).toBe(
          expected,
        );
      }
    }
    expect(affected).toBeGreaterThan(5000);
  });

  it('take time in proportion to their events, many at one version included', () => {
    const events = Array.from({ length: 100_000 }, (_, index): OsvEvent => ({
      kind: KINDS[index % 3] as OsvEvent['kind'],
      version: `1.${index % 7}.0`,
    }));
    const start = performance.now();
    compileRange('npm', { type: 'SEMVER', events });
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});
