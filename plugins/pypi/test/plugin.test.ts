import { describe, expect, it } from 'vitest';
import { setupText } from '@entrepot/core';
import plugin from '../src/index.js';
import { createLayouts } from '../src/layout.js';
import { readFile, type PageFile } from '../src/page-file.js';
import { createProvenanceUrl } from '../src/provenance.js';

describe('the plugin', () => {
  it('serves proxies', () => {
    expect(plugin).toMatchObject({ kind: 'protocol', id: 'pypi', proxy: {}, inject: {} });
    expect(plugin.hosted).toBeUndefined();
  });

  it('points clients at a repository', () => {
    const repository = { name: 'pypi', kind: 'proxy' as const, upstreams: [] };
    const snippets = (baseUrl: string): Record<string, string> =>
      Object.fromEntries(
        (plugin.clients?.setup?.({ baseUrl, repository }) ?? []).map((one) => [one.client, setupText(one)]),
      );
    expect(snippets('http://127.0.0.1:8080/pypi')).toMatchObject({
      pip: 'pip config set global.index-url http://127.0.0.1:8080/pypi/simple/',
      poetry: 'poetry source add --priority=primary entrepot http://127.0.0.1:8080/pypi/simple/',
      pdm: 'pdm config pypi.url http://127.0.0.1:8080/pypi/simple/',
    });
    expect(snippets('https://p.example.com/x')['uv']).toContain(
      'url = "https://p.example.com/x/simple/"\ndefault = true',
    );
    expect(snippets('https://p.example.com')['pip']).not.toContain('trusted-host');
    expect(snippets('http://p.example.com')['pip']).toContain('pip config set global.trusted-host p.example.com');
  });
});

describe('the URL of a provenance object', () => {
  const upstreams = [{ url: 'https://index.example.com/' }, { url: 'https://acme.example.com/simple', scope: 'acme' }];
  const repository = { name: 'pypi', kind: 'proxy' as const, upstreams };
  const urlOf = createProvenanceUrl(upstreams, createLayouts(repository, undefined));
  const name = 'demo-1.0+x-py3-none-any.whl';
  const file = readFile('demo', { url: `https://f.example.com/${encodeURIComponent(name)}` }) as PageFile;
  const own = `https://index.example.com/integrity/demo/1.0/${name}/provenance`;

  it('leads here over https', () => {
    const found = 'https://p.example.com/pypi/integrity/demo/1.0/demo-1.0%2Bx-py3-none-any.whl/provenance';
    expect(urlOf(own, file, 'https://p.example.com/pypi')).toBe(found);
    expect(urlOf(own.replace('+', '%2B'), file, 'https://p.example.com/pypi')).toBe(found);
  });

  it.each([
    [own, 'http://p.example.com/pypi'],
    ['https://other.example.com/integrity/demo/1.0/x/provenance', 'https://p.example.com'],
    ['https://index.example.com/integrity/demo/1.0/other-1.0.tar.gz/provenance', 'https://p.example.com'],
    [`https://index.example.com/integrity/demo/1.0/${name}/provenance?x`, 'https://p.example.com'],
    ['https://index.example.com/integrity/demo/1.0/%ZZ/provenance', 'https://p.example.com'],
    [`https://acme.example.com/integrity/demo/1.0/${name}/provenance`, 'https://p.example.com'],
  ])('stays %s at %s', (url, baseUrl) => {
    expect(urlOf(url, file, baseUrl)).toBe(url);
  });
});
