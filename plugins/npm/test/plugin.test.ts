import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { API_VERSION, EntrepotError, parseOptions, setupText } from '@entrepot/core';
import { createProtocol } from '@entrepot/core/testing';
import plugin from '../src/index.js';
import { contentOf, request } from './fixtures.js';

const repository = { name: 'npm', kind: 'proxy', upstreams: [{ url: 'https://registry.example.com' }] } as const;

describe('the plugin', () => {
  it('introduces itself', () => {
    expect(plugin).toMatchObject({
      kind: 'protocol',
      apiVersion: API_VERSION,
      id: 'npm',
      inject: {},
    });
    expect(plugin.hosted).toBeUndefined();
  });

  it('wires its hooks together', async () => {
    const protocol = await createProtocol({ plugin, options: { audit: 'forward' } }, repository);
    const document = protocol.route(request('/pkg/latest'));
    if (document?.kind !== 'document') throw new Error('expected a document');
    const content = contentOf(
      '{"name":"pkg","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"dist":{"tarball":"x"}}}}',
    );
    const read = (): Promise<never> => Promise.reject(new Error('nothing else is read'));
    const parsed = await document.parse(content, { needs: new Set(), headers: {}, read });
    const rendered = await document.render(parsed, {
      content,
      isAbsent: false,
      baseUrl: 'http://127.0.0.1/npm',
      headers: {},
      cachedKeys: [],
      refusal: () => undefined,
      admits: () => true,
    });
    const pieces: string[] = [];
    for await (const piece of rendered.bytes) pieces.push(Buffer.from(piece).toString());
    expect(pieces.join('')).toBe('{"dist":{"tarball":"http://127.0.0.1/npm/pkg/-/pkg-1.0.0.tgz"}}');
  });

  it('loads the configuration library of npm only to discover', async () => {
    const folder = new URL('../src/', import.meta.url);
    for (const file of await readdir(folder)) {
      const text = await readFile(new URL(file, folder), 'utf8');
      expect(text, file).not.toMatch(/^import (?!type).*@npmcli/m);
    }
  });
});

describe('its options', () => {
  it.each([
    [{}, { audit: 'forward' }],
    [{ audit: 'off' }, { audit: 'off' }],
  ])('%j are %j', async (given, options) => {
    expect(await parseOptions(plugin.options, given)).toStrictEqual({ options });
  });

  it.each([
    [{ audits: 'off' }, '', /audits/],
    [{ audit: false }, 'audit', /forward/],
    ['x', '', /object/],
  ])('%j are refused', async (given, path, message) => {
    const { problems } = await parseOptions(plugin.options, given);
    expect(problems).toMatchObject([{ path, message: expect.stringMatching(message) as string }]);
  });
});

describe('an error', () => {
  it.each([
    [new EntrepotError('not-found', 'version not found: a@1'), 404, 'version not found: a@1'],
    [new EntrepotError('policy-denied', 'a@1 is held'), 403, 'a@1 is held'],
    [new EntrepotError('conflict', 'cannot publish over a@1'), 403, 'cannot publish over a@1'],
    [new EntrepotError('upstream-unavailable', 'timed out', { status: 504 }), 504, 'timed out'],
    [new EntrepotError('storage', 'disk /secret/path is full'), 500, 'the registry proxy failed; its log says why'],
  ])('is the JSON that npm prints: %s', async (error, status, text) => {
    const protocol = await createProtocol({ plugin, options: { audit: 'forward' } }, repository);
    const rendered = protocol.renderError(error);
    expect(rendered).toMatchObject({ status, mediaType: 'application/json' });
    expect(JSON.parse(rendered?.body ?? '')).toStrictEqual({ error: text });
  });
});

describe('a refusal', () => {
  it('is a notice, too, which npm prints', async () => {
    const protocol = await createProtocol({ plugin, options: { audit: 'forward' } }, repository);
    const refusal = new EntrepotError('policy-denied', 'a@1 is héld\r\nX: y');
    expect(protocol.renderError(refusal)?.headers).toStrictEqual({ 'npm-notice': 'a@1 is h ld X: y' });
    expect(protocol.renderError(new EntrepotError('not-found', 'x'))).not.toHaveProperty('headers');
  });
});

describe('the set-up of clients', () => {
  it('is a line to copy for each', () => {
    const setup = plugin.clients?.setup?.({ baseUrl: 'http://127.0.0.1:8080/npm', repository });
    expect(Object.fromEntries(setup?.map((one) => [one.client, setupText(one)]) ?? [])).toStrictEqual({
      npm: 'npm config set registry http://127.0.0.1:8080/npm/',
      pnpm: 'pnpm config set registry http://127.0.0.1:8080/npm/',
      'yarn 1': 'yarn config set registry http://127.0.0.1:8080/npm/',
      'yarn 4': '# .yarnrc.yml\nnpmRegistryServer: "http://127.0.0.1:8080/npm"\nunsafeHttpWhitelist: ["127.0.0.1"]',
      bun: '# bunfig.toml\n[install]\nregistry = "http://127.0.0.1:8080/npm/"',
    });
  });

  it('needs no exception for https', () => {
    const setup = plugin.clients?.setup?.({ baseUrl: 'https://packages.example.com/npm', repository });
    expect(setupText(setup?.find(({ client }) => client === 'yarn 4') ?? { steps: [] })).not.toContain('unsafe');
  });
});
