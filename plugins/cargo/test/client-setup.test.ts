import { setupText } from '@entrepot/core';
import { expect, it } from 'vitest';
import { clientSetup } from '../src/client-setup.js';

const baseUrl = 'https://packages.example.com/crates';

it('has cargo take crates from a proxy in place of the public registry', () => {
  const [cargo] = clientSetup({ baseUrl, repository: { name: 'crates', kind: 'proxy', upstreams: [] } });
  expect(cargo && setupText(cargo)).toBe(
    '# ~/.cargo/config.toml\n[registries.crates]\nindex = "sparse+https://packages.example.com/crates/"\n\n[source.crates-io]\nreplace-with = "crates"',
  );
});

it('says of a guarded one what sends its token', () => {
  const [cargo] = clientSetup({ baseUrl, repository: { name: 'own', kind: 'hosted', upstreams: [] }, guarded: true });
  const text = cargo === undefined ? '' : setupText(cargo);
  expect(text).toContain('global-credential-providers = ["cargo:token"]');
  expect(text).toContain("printf %s 'USER:PASSWORD' | cargo login --registry own");
});
