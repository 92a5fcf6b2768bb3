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
