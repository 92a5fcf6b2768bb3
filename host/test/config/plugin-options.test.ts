import type { StandardSchema } from '@entrepot/core';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { parseRepositoryOptions } from '../../src/config/plugin-options.js';

const schema = z.strictObject({
  rules: z.array(z.strictObject({ match: z.string() })).default([]),
});

it('returns what the plugin’s schema made of the options', async () => {
  expect(await parseRepositoryOptions('one', schema, {})).toEqual({ options: { rules: [] } });
});

it('prefixes problems with the repository and names the nearest key, common ones included', async () => {
  const { problems } = await parseRepositoryOptions('one', schema, {
    rules: [{ match: 5, colour: 1 }],
    ruls: [],
    upstreem: 'x',
  });
  expect(problems?.map(({ path }) => path).sort()).toEqual([
    'repositories.one.rules.0.colour',
    'repositories.one.rules.0.match',
    'repositories.one.ruls',
    'repositories.one.upstreem',
  ]);
  expect(problems).toContainEqual({
    path: 'repositories.one.upstreem',
    message: 'unknown key; did you mean upstream?',
  });
  expect(problems).toContainEqual({ path: 'repositories.one.ruls', message: 'unknown key; did you mean rules?' });
});

it('takes schemas of any vendor', async () => {
  const vendor: StandardSchema = {
    '~standard': {
      version: 1,
      vendor: 'acme',
      validate: () => Promise.resolve({ issues: [{ message: 'no good', path: [{ key: 'a' }, 0] }] }),
    },
  };
  expect(await parseRepositoryOptions('one', vendor, {})).toEqual({
    problems: [{ path: 'repositories.one.a.0', message: 'no good' }],
  });
});

it('says in words what zod says with its own, and looks past what was wrong', async () => {
  const strict = z
    .strictObject({
      size: z.union([z.string(), z.array(z.string())]),
      policy: z.enum(['immutable', 'revalidate']).optional(),
      name: z
        .string()
        .regex(/^[a-z]+$/)
        .optional(),
      list: z
        .array(z.strictObject({ match: z.string().min(1) }))
        .min(1)
        .optional(),
      own: z
        .string()
        .refine(() => false)
        .optional(),
    })
    .refine(({ policy }) => policy !== undefined, { error: 'expected a policy', path: ['policy'] });
  const { problems } = await parseRepositoryOptions('one', strict, {
    size: 5,
    policy: 'imutable',
    name: 'A',
    list: [{ match: '', mtach: 'x' }],
    own: 'x',
  });
  expect(problems).toEqual([
    { path: 'repositories.one.size', message: 'expected a text or a list, found a number' },
    { path: 'repositories.one.policy', message: 'expected immutable or revalidate; did you mean immutable?' },
    { path: 'repositories.one.name', message: 'expected a text that matches /^[a-z]+$/' },
    { path: 'repositories.one.list.0.match', message: 'expected at least 1 character' },
    { path: 'repositories.one.list.0.mtach', message: 'unknown key; did you mean match?' },
    {
      path: 'repositories.one.own',
      message: 'not a value that is allowed here; docs/configuration.md says which are',
    },
  ]);
});
