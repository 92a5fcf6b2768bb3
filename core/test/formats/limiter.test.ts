import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FairLimiter, Limiter } from '../../src/formats/index.js';
import { pseudoRandom } from '../../src/testing/index.js';

it('lets so many run at a time, in the order in which they came', async () => {
  const limiter = new Limiter(2);
  const begun: number[] = [];
  const gates = [0, 1, 2, 3].map(() => gate());
  const runs = gates.map(({ passed }, at) =>
    limiter.run(async () => {
      begun.push(at);
      await passed;
      return at;
    }),
  );
  await setImmediate();
  expect([begun, limiter.hasRoom]).toEqual([[0, 1], false]);
  gates[1]?.open();
  await runs[1];
  await setImmediate();
  expect(begun).toEqual([0, 1, 2]);
  for (const { open } of gates) open();
  expect(await Promise.all(runs)).toEqual([0, 1, 2, 3]);
  expect(limiter.hasRoom).toBe(true);
});

it('goes on after one that fails', async () => {
  const limiter = new Limiter(1);
  await expect(limiter.run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(await limiter.run(async () => 'next')).toBe('next');
});

it('lets nobody wait who is gone', async () => {
  const limiter = new Limiter(1);
  const release = await limiter.acquire();
  const gone = new AbortController();
  const waiting = limiter.run(async () => 'never', gone.signal);
  const after = limiter.run(async () => 'after');
  gone.abort(new Error('hung up'));
  await expect(waiting).rejects.toThrow('hung up');
  await expect(limiter.acquire(gone.signal)).rejects.toThrow('hung up');
  release();
  expect(await after).toBe('after');
  expect(limiter.hasRoom).toBe(true);
});

it('never lets more run, and forgets nobody, whoever leaves', async () => {
  const random = pseudoRandom(5);
  const limiter = new Limiter(3);
  let running = 0;
  const outcomes = Array.from({ length: 2_000 }, async () => {
    const gone = new AbortController();
    if (random() < 0.3) void setImmediate().then(() => gone.abort(new Error('gone')));
    return await limiter
      .run(async () => {
        running += 1;
        expect(running).toBeLessThanOrEqual(3);
        for (let turns = random() * 4; turns > 0; turns -= 1) await setImmediate();
        running -= 1;
        return 'done';
      }, gone.signal)
      .catch((error: Error) => error.message);
  });
  const found = await Promise.all(outcomes);
  expect(new Set(found)).toEqual(new Set(['done', 'gone']));
  expect([running, limiter.hasRoom]).toEqual([0, true]);
});

describe('fair turns', () => {
  /** Asks for turns of parties, and lists whose turns began, in order. */
  function parties(limiter: FairLimiter) {
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const ask = (party: string, signal?: AbortSignal): Promise<void> =>
      limiter.acquire(party, signal).then((end) => {
        begun.push(party);
        ends.push(end);
      });
    async function endFirst(): Promise<void> {
      ends.shift()?.();
      await setImmediate();
    }
    return { begun, ask, endFirst };
  }

  it('go round: who asks for much waits behind its own', async () => {
    const { begun, ask, endFirst } = parties(new FairLimiter(2));
    for (const party of ['a', 'a', 'a', 'a', 'a', 'b', 'c', 'b']) void ask(party);
    await setImmediate();
    for (let turn = 0; turn < 6; turn += 1) await endFirst();
    expect(begun.join('')).toBe('aaabcaba');
  });

  it('leave room for others, whoever asks for however much', async () => {
    const limiter = new FairLimiter(4, 3);
    const { begun, ask, endFirst } = parties(limiter);
    for (let one = 0; one < 10; one += 1) void ask('a');
    await setImmediate();
    expect([begun.join(''), limiter.hasRoomFor('a'), limiter.hasRoomFor('b')]).toEqual(['aaa', false, true]);
    await ask('b');
    await endFirst();
    expect(begun.join('')).toBe('aaaba');
    for (let turn = 0; turn < 10; turn += 1) await endFirst();
    expect(begun).toHaveLength(11);
    expect([limiter.hasRoomFor('a'), limiter.hasRoomFor('b')]).toEqual([true, true]);
  });

  it('never let more run, of all and of each, and forget nobody, whoever leaves', async () => {
    const random = pseudoRandom(7);
    const limiter = new FairLimiter(5, 2);
    const running = new Map<string, number>();
    const outcomes = Array.from({ length: 2_000 }, async (_, at) => {
      const party = `p${at % 7}`;
      const gone = new AbortController();
      if (random() < 0.3) void setImmediate().then(() => gone.abort(new Error('gone')));
      try {
        const end = await limiter.acquire(party, gone.signal);
        running.set(party, (running.get(party) ?? 0) + 1);
        expect(running.get(party)).toBeLessThanOrEqual(2);
        expect([...running.values()].reduce((sum, one) => sum + one)).toBeLessThanOrEqual(5);
        for (let turns = random() * 4; turns > 0; turns -= 1) await setImmediate();
        running.set(party, (running.get(party) as number) - 1);
        end();
        return 'done';
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['done', 'gone']));
    expect(limiter.hasRoomFor('p0')).toBe(true);
  });
});

function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}
