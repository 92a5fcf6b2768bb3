import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Limiter } from '../../src/formats/index.js';
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

function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}
