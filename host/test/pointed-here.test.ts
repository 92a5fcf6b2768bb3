import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { defineProtocolPlugin, silentLogger, type DiscoveryContext } from '@entrepot/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { loadConfig } from '../src/config/load.js';
import { keepFoundUpstreams } from '../src/repositories/found-upstreams.js';
import { ownAddresses } from '../src/repositories/own-addresses.js';
import { planRepositories } from '../src/repositories/repository-plan.js';

const REAL = 'https://registry.example.com';
const HERE = 'http://127.0.0.1:8080/zoo';

/** A machine with a folder for data, and a client whose settings are `urls`, the strongest first. */
async function machine(yaml = 'repositories: { zoo: { type: zoo } }') {
  const cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-pointed-'));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  writeFileSync(path.join(cwd, 'entrepot.yaml'), yaml);
  const loaded = await loadConfig({ env: {}, cwd });
  return {
    loaded,
    folder: cwd,
    async start(...urls: readonly string[]) {
      const plugin = defineProtocolPlugin({
        id: 'zoo',
        options: z.strictObject({}),
        inject: {},
        clients: {
          async discoverUpstreams({ isOwn = () => false }: DiscoveryContext) {
            const url = urls.find((one) => !isOwn(one));
            return url === undefined ? [] : [{ url, source: 'settings', authorization: 'Basic c2VjcmV0' }];
          },
        },
        proxy: { classes: {}, create: () => ({ route: () => undefined }) },
      });
      const planned = await planRepositories(loaded, [{ package: 'zoo', location: '/', bundled: true, plugin }]);
      if (planned.problems.length === 0) keepFoundUpstreams(loaded.config, planned.found, silentLogger);
      return {
        problems: planned.problems,
        upstreams: planned.plans.flatMap(({ upstreams }) => upstreams.map(({ url, source }) => ({ url, source }))),
      };
    },
  };
}

describe('a machine whose clients are pointed at its own server', () => {
  it('is served from where they were pointed before', async () => {
    const { start, folder } = await machine();
    expect(await start(REAL)).toEqual({ problems: [], upstreams: [{ url: REAL, source: 'settings' }] });
    expect(readFileSync(path.join(folder, 'data/found-upstreams.json'), 'utf8')).not.toContain('c2VjcmV0');
    const again = { url: REAL, source: "settings, before this machine's clients were pointed here" };
    expect(await start(HERE)).toEqual({ problems: [], upstreams: [again] });
    expect(await start(HERE, 'https://default.example.com')).toEqual({ problems: [], upstreams: [again] });
    // Pointed elsewhere, they say so themselves.
    expect((await start('https://other.example.com')).upstreams[0]?.url).toBe('https://other.example.com');
    expect((await start(HERE)).upstreams[0]?.url).toBe('https://other.example.com');
  });

  it('is served from what stands behind that setting, where nothing is known from before', async () => {
    const { start } = await machine();
    expect((await start(HERE, REAL)).upstreams).toEqual([{ url: REAL, source: 'settings' }]);
  });

  it('is told so where there is nothing else', async () => {
    const { start } = await machine();
    const { problems } = await start(HERE);
    expect(problems).toEqual([
      {
        path: 'repositories.zoo.upstream',
        message:
          'no upstream, and the settings of zoo clients on this machine name no other server; set repositories.zoo.upstream to the URL of one',
      },
    ]);
  });

  it('takes nothing from a damaged memory', async () => {
    const { start, folder } = await machine();
    await start(REAL);
    writeFileSync(path.join(folder, 'data/found-upstreams.json'), '{"version":1,"found":{"zoo":[{"url":5}]}}');
    expect((await start(HERE)).problems).toHaveLength(1);
  });
});

it('refuses a configured upstream that is the repository itself, and takes another repository of the server', async () => {
  const own = await machine(`repositories: { zoo: { type: zoo, upstream: '${HERE}/' } }`);
  expect((await own.start()).problems).toEqual([
    {
      path: 'repositories.zoo.upstream',
      message: `${HERE} is this repository itself; expected the URL of another server`,
    },
  ]);
  const other = await machine(`repositories: { zoo: { type: zoo, upstream: 'http://127.0.0.1:8080/other' } }`);
  expect((await other.start()).problems).toEqual([]);
});

describe('addresses of this server', () => {
  const isOwn = async (yaml: string, url: string): Promise<boolean> =>
    ownAddresses((await machine(yaml)).loaded.config)(url);

  it.each([
    ['{}', 'http://127.0.0.1:8080/npm/', true],
    ['{}', 'http://localhost:8080/npm/', true],
    ['{}', 'http://127.0.0.1:8081/npm/', false],
    ['{}', 'http://192.0.2.1:8080/npm/', false],
    ['{}', 'https://registry.example.com', false],
    ['{}', 'no url', false],
    ['server: { listen: ":9000" }', 'http://127.0.0.1:9000', true],
    ['server: { listen: ":9000" }', `http://${hostname()}:9000`, true],
    ['server: { listen: "[::1]:9000" }', 'http://[::1]:9000/x', true],
    ['server: { listen: "[::1]:9000" }', 'http://127.0.0.1:9000/x', false],
    ['server: { listen: ":80" }', 'http://localhost/x', true],
    ['server: { publicUrl: "https://packages.example.com/all" }', 'https://packages.example.com/all/npm', true],
    ['server: { publicUrl: "https://packages.example.com/all" }', 'https://packages.example.com/other', false],
    ['repositories: { a: { type: npm, listen: "127.0.0.1:9001" } }', 'http://127.0.0.1:9001', true],
    ['repositories: { a: { type: npm, publicUrl: "https://npm.example.com" } }', 'https://npm.example.com/', true],
  ])('are known in %s: %s', async (yaml, url, expected) => {
    expect(await isOwn(yaml, url)).toBe(expected);
  });
});
