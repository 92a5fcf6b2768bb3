import { DEFAULT_FRESHNESS } from '@entrepot/core';
import { type CacheClass } from '@entrepot/core/engine';
import { expect, it } from 'vitest';
import { resolveFreshness } from '../../src/config/freshness.js';

const classes: Record<string, CacheClass> = {
  tarball: { kind: 'artifact', about: 'Tarballs.', freshness: {} },
  packument: { kind: 'document', about: 'Packuments.', freshness: { freshFor: 60_000, negativeFor: 5000 } },
};

it('takes the configuration’s word, else the plugin’s, else the default of its kind', () => {
  const resolved = resolveFreshness(classes, { packument: { freshFor: 1000, busy: 'stale', policy: undefined } });
  expect(resolved.freshness).toEqual({
    tarball: DEFAULT_FRESHNESS.artifact,
    packument: { ...DEFAULT_FRESHNESS.document, freshFor: 1000, negativeFor: 5000, busy: 'stale' },
  });
});

it('lists the known classes for each unknown one', () => {
  const resolved = resolveFreshness(classes, { packuments: {}, colour: {} });
  expect(resolved.problems).toEqual([
    {
      path: 'cache.packuments',
      message: 'unknown class; did you mean packument? The classes of this protocol: tarball, packument',
    },
    { path: 'cache.colour', message: 'unknown class; the classes of this protocol: tarball, packument' },
  ]);
});
