import { describe, expect, it } from 'vitest';
import { Lru } from '../../src/formats/index.js';
import { pseudoRandom } from '../../src/testing/index.js';

describe('Lru', () => {
  it('drops what was used longest ago, and tells', () => {
    const gone: string[] = [];
    const lru = new Lru<string>(
      6,
      (text) => text.length,
      (text) => gone.push(text),
    );
    lru.set('a', 'aa');
    lru.set('b', 'bb');
    lru.set('c', 'cc');
    lru.get('a');
    lru.set('d', 'dd');
    expect([lru.get('a'), lru.get('b'), lru.get('c'), lru.get('d')]).toEqual(['aa', undefined, 'cc', 'dd']);
    lru.set('e', 'too large');
    lru.set('a', 'x');
    expect(lru.weight).toBe(5);
    expect(gone).toEqual(['bb', 'too large', 'aa']);
    lru.clear();
    expect(lru.weight).toBe(0);
  });

  it('forgets the least recently used beyond a number of values', () => {
    const lru = new Lru<string>(2);
    lru.set('a', '1');
    lru.set('b', '2');
    lru.get('a');
    lru.set('c', '3');
    expect(keysOf(lru)).toEqual(['a', 'c']);
  });

  it('forgets beyond its weight, and counts it right', () => {
    const lru = byLength(10);
    lru.set('a', '1234');
    lru.set('b', '1234');
    expect(lru.weight).toBe(10);
    lru.set('a', '12345');
    expect([...lru.entries(), lru.weight]).toEqual([['a', '12345'], 6]);
    lru.set('a', '1');
    lru.set('b', '1');
    expect(lru.weight).toBe(4);
    expect([lru.delete('a'), lru.delete('a')]).toEqual([true, false]);
    expect(lru.weight).toBe(2);
    lru.clear();
    expect([lru.size, lru.weight]).toEqual([0, 0]);
  });

  it('does not keep what is larger than all of it, nor what that replaces', () => {
    const lru = byLength(10);
    lru.set('a', '1');
    lru.set('b', '1');
    lru.set('a', 'x'.repeat(10));
    expect(keysOf(lru)).toEqual(['b']);
  });

  it('does what a list does, whatever is done with it', () => {
    const random = pseudoRandom(3);
    const lru = byLength(64);
    let list: (readonly [key: string, value: string])[] = [];
    for (let round = 0; round < 20_000; round += 1) {
      const key = String(Math.floor(random() * 24));
      const found = list.find(([other]) => other === key);
      const others = list.filter((one) => one !== found);
      const act = random();
      if (act < 0.4) {
        expect(lru.get(key)).toBe(found?.[1]);
        if (found !== undefined) list = [...others, found];
      } else if (act < 0.5) {
        expect(lru.delete(key)).toBe(found !== undefined);
        list = others;
      } else {
        const value = 'x'.repeat(Math.floor(random() * 70));
        lru.set(key, value);
        list = key.length + value.length > 64 ? others : [...others, [key, value]];
        while (weightOf(list) > 64) list = list.slice(1);
      }
      expect([lru.size, lru.weight]).toEqual([list.length, weightOf(list)]);
    }
    expect(keysOf(lru)).toEqual(list.map(([key]) => key));
  });
});

function byLength(most: number): Lru<string> {
  return new Lru<string>(most, (value, key) => key.length + value.length);
}

function weightOf(list: readonly (readonly [key: string, value: string])[]): number {
  return list.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
}

function keysOf(lru: Lru<string>): string[] {
  return Array.from(lru.entries(), ([key]) => key);
}
