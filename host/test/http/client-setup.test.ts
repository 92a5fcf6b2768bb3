import { describe, expect, it } from 'vitest';
import { kindsOf } from '@entrepot/core/engine';
import { DISTRIBUTION } from 'entrepot';
import { loadPlugins } from '../../src/plugins/load.js';

const formats = Object.values(DISTRIBUTION.formats);
const { plugins } = await loadPlugins({ plugins: [], formats, folder: import.meta.dirname });
const BASE = 'https://packages.example.com/repository';

describe('the settings for clients', () => {
  it.each(plugins.flatMap(({ plugin }) => kindsOf(plugin).map((kind) => [plugin.id, kind, plugin] as const)))(
    'of a guarded repository of type %s (%s) have a place for credentials, those of an open one have none',
    (_id, kind, plugin) => {
      const repository = { name: 'repository', kind, upstreams: [] };
      const text = (guarded: boolean): string =>
        JSON.stringify(plugin.clients?.setup?.({ baseUrl: BASE, repository, guarded }));
      expect(text(true)).toMatch(/USER|docker login packages\.example\.com/);
      expect(text(false)).not.toMatch(/USER|PASSWORD|docker login/);
    },
  );

  it('are there for every bundled format', () => {
    const found = Object.fromEntries(plugins.map(({ package: name, plugin }) => [plugin.id, name]));
    expect(found).toEqual(DISTRIBUTION.formats);
    expect(plugins.every(({ plugin }) => plugin.clients?.setup !== undefined)).toBe(true);
  });
});
