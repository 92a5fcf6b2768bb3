import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { PolicyInput } from '@entrepot/core';
import { createPolicy } from '@entrepot/core/engine';
import { type GoldenCase, NOW, printDecision, readCases, subjectOf } from './golden.js';

const folder = new URL('golden/', import.meta.url);

describe.each(readdirSync(folder))('%s', (file) => {
  const cases: readonly GoldenCase[] = readCases(readFileSync(new URL(file, folder), 'utf8'));

  it.each(cases.map((golden) => [golden.name, golden] as const))('%s', (_name, golden) => {
    const { options, input } = subjectOf(golden);
    const decision = createPolicy(options).evaluate(input);
    expect(printDecision(decision)).toEqual(golden.expect);
  });

  it('has names that tell its cases apart', () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });
});

it('says why in plain characters that fit into a status line', () => {
  const input: PolicyInput = subjectOf({ name: '', policy: { version: 1 }, input: {}, expect: {} }).input;
  const policy = createPolicy({
    document: { version: 1, rules: [{ id: 'exotic', when: { exoticDependencies: true }, action: 'deny' }] },
  });
  const [rule] = policy.evaluate({ ...input, facts: { exoticDependencies: [`é\r\nX: 1 ${'x'.repeat(500)}`] } }).rules;
  expect(rule?.reason).toMatch(/^[\x20-\x7e]{1,160}$/);
  expect(NOW).toBe(input.now);
});
