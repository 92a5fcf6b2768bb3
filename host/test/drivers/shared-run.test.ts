import { Gate } from '@entrepot/core/testing';
import { expect, it } from 'vitest';
import { SharedRun } from '../../src/drivers/shared-run.js';

it('has all who ask while a run is under way share the next one', async () => {
  const gates = [new Gate(), new Gate()];
  let runs = 0;
  const shared = new SharedRun(() => (gates[runs++] as Gate).pass());
  const settled: string[] = [];
  const first = shared.request().then(() => settled.push('first'));
  await gates[0]?.reached;
  const others = ['a', 'b', 'c'].map((name) => shared.request().then(() => settled.push(name)));
  gates[0]?.open();
  await first;
  await gates[1]?.reached;
  expect(settled).toEqual(['first']);
  gates[1]?.open();
  await Promise.all(others);
  expect(settled).toEqual(['first', 'a', 'b', 'c']);
  expect(runs).toBe(2);
});

it('tells a failure to those who waited for that run, and to nobody else', async () => {
  const gate = new Gate();
  let runs = 0;
  const shared = new SharedRun(async () => {
    runs += 1;
    if (runs > 1) return;
    await gate.pass();
    throw new Error('the disk is gone');
  });
  const first = expect(shared.request()).rejects.toThrow('the disk is gone');
  await gate.reached;
  const second = shared.request();
  gate.open();
  await first;
  await second;
  expect(runs).toBe(2);
});
