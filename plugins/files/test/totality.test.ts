import { describe, expect, it } from 'vitest';
import { EntrepotError } from '@entrepot/core';
import type { RequestHead } from '@entrepot/core';
import type { BoundResource } from '@entrepot/core/engine';
import { protocolOf } from './fixtures.js';

const PIECES = [
  'a',
  'b',
  '.',
  '..',
  '/',
  '%',
  '%2F',
  '?',
  '#',
  '+',
  '\\',
  '\0',
  '\n',
  '~',
  'ä',
  '😀',
  '\ud800',
  '',
  ' ',
  ';',
  ':',
];
const METHODS = ['GET', 'HEAD', 'PUT', 'DELETE', 'POST', 'BREW', ''];
const KINDS = ['bad-request', 'not-found', 'forbidden', 'method-not-allowed'];

/** Numbers from 0 up to `below`, the same ones in every run (a linear congruential generator). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomHead(next: (below: number) => number): RequestHead {
  const segments = Array.from({ length: next(4) }, () =>
    Array.from({ length: 1 + next(3) }, () => PIECES[next(PIECES.length)]).join(''),
  );
  const query = new URLSearchParams(next(3) === 0 ? [['x', PIECES[next(PIECES.length)] as string]] : []);
  return {
    method: METHODS[next(METHODS.length)] as string,
    segments,
    trailingSlash: next(2) === 1,
    query,
    rawQuery: query.toString(),
    header: () => PIECES[next(PIECES.length)],
  };
}

function outcomeOf(route: () => BoundResource | undefined): BoundResource | { readonly refused: unknown } | undefined {
  try {
    return route();
  } catch (error) {
    expect(error).toBeInstanceOf(EntrepotError);
    expect(KINDS).toContain((error as EntrepotError).kind);
    return { refused: (error as EntrepotError).message };
  }
}

/** The file that a head names, for messages and as its identity. */
function nameOf({ segments, trailingSlash, query }: RequestHead, withQuery: boolean): string {
  return JSON.stringify([segments, trailingSlash || segments.length === 0, withQuery ? query.toString() : '']);
}

describe.each(['proxy', 'hosted'] as const)('route of a %s repository', (kind) => {
  it('is total, and gives each file a key of its own', async () => {
    const rules = [
      { match: 'a/**', policy: 'immutable', checksum: { sidecar: '.b' } },
      { match: '**/*b', policy: 'deny' },
    ];
    const { route } = await protocolOf(kind === 'proxy' ? { rules } : {}, kind);
    const next = numbers(7);
    const names = new Map<string, string>();
    let stored = 0;
    for (let round = 0; round < 20_000; round += 1) {
      const head = randomHead(next);
      const found = outcomeOf(() => route(head));
      if (found === undefined || 'refused' in found || !('key' in found)) continue;
      stored += 1;
      const name = nameOf(head, kind === 'proxy');
      expect(names.get(found.key) ?? name).toBe(name);
      names.set(found.key, name);
      if ('upstreamPath' in found) {
        const url = new URL(`http://files.example.com/base/${found.upstreamPath}`);
        // What a URL parser makes of it is what was meant: nothing was normalised away, nothing left the base.
        expect(url.pathname + url.search).toBe(`/base/${found.upstreamPath}`);
      }
    }
    expect(stored).toBeGreaterThan(1000);
    expect(names.size).toBeGreaterThan(300);
  });
});
