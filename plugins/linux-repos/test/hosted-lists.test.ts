import { describe, expect, it } from 'vitest';
import { withStanzas } from '../src/deb/hosted/package-list.js';
import { withReplaced } from '../src/shared/hosted/replaced-files.js';

const stanza = (path: string, more = '') => `Package: x\nDescription: one\n two${more}\nFilename: ${path}\nSize: 1\n\n`;

/** Numbers that look random, the same each time. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 8;
  }
}

describe('a list of packages', () => {
  it('is the sorted list of its stanzas after any puts and removals', () => {
    const random = numbers(7);
    const next = (below: number): number => random.next().value % below;
    const kept = new Map<string, string>();
    let list: Buffer = Buffer.alloc(0);
    for (let step = 0; step < 3000; step += 1) {
      const edits = new Map<string, string | undefined>();
      for (let count = next(4); count >= 0; count -= 1) {
        const path = `pool/${'abc'[next(3)]}${'_'.repeat(next(3))}${next(60)}`;
        edits.set(path, next(3) === 0 ? undefined : stanza(path, 'x'.repeat(next(40))));
      }
      const isSame = [...edits].every(([path, added]) => kept.get(path) === added);
      const changed = withStanzas(
        list,
        Array.from(edits, ([path, added]) => ({ path, stanza: added })),
      );
      expect(changed === undefined).toBe(isSame);
      for (const [path, added] of edits) {
        if (added === undefined) kept.delete(path);
        else kept.set(path, added);
      }
      list = changed ?? list;
      if (step % 50 > 0) continue;
      const paths = [...kept.keys()].sort();
      expect(list.toString()).toBe(paths.map((one) => kept.get(one)).join(''));
    }
  });
});

describe('replaced files', () => {
  it('stay for so many states, for so long, and where another state has them', () => {
    const state = (at: number, ...keys: string[]) => ({ at, keys });
    const keep = (earlier: ReturnType<typeof state>[], current: string[], limits: { keep: number; since: number }) =>
      withReplaced(earlier, state(100, 'new'), new Set(current), limits);
    const earlier = [state(90, 'b', 'shared'), state(80, 'c'), state(70, 'current', 'shared', 'd')];
    expect(keep(earlier, ['current'], { keep: 2, since: 200 })).toEqual({
      kept: [state(100, 'new'), state(90, 'b', 'shared')],
      gone: ['c', 'd'],
    });
    expect(keep(earlier, ['current'], { keep: 0, since: 80 })).toEqual({
      kept: [state(100, 'new'), state(90, 'b', 'shared'), state(80, 'c')],
      gone: ['d'],
    });
    expect(keep([], [], { keep: 0, since: 200 })).toEqual({ kept: [], gone: ['new'] });
  });
});
