import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../src/config/load.js';
import { createHost } from '../src/create-host.js';

/** A plugin whose repositories say what they were asked for; `?ns=` looks one up by its option `ns`. */
const PLUGIN = `
const options = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const json = (body, status = 200) => ({ status, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
export default {
  kind: 'protocol', apiVersion: 1, id: 'images', options, inject: {},
  http: {
    sharedMounts: ['/v2'],
    mountAlone: '/v2',
    replyHeaders: { 'X-Images': 'yes' },
    select({ segments, query, mount }, repositories, named) {
      if (segments.length === 0) return { reply: json({ mount, names: repositories.map(({ name, type }) => [name, type]) }), guarded: true };
      if (segments[0] === 'throws') throw new Error('select is broken');
      const found = repositories.find(({ options }) => options.ns === query.get('ns'));
      return found && found.name !== named ? { repository: found.name } : undefined;
    },
  },
  hosted: {
    classes: { x: { kind: 'change', about: 'Uploads.', action: 'put', bounds: { of: 'x', maxBytes: 1, overwrite: true } } },
    create: ({ repository }) => ({
      route: ({ segments, mount, method }) =>
        segments[0] === 'closed' ? { class: 'x', key: 'x' } : json({ repository: repository.name, segments, mount, method }),
    }),
    renderError: (error) => ({ mediaType: 'application/json', body: JSON.stringify({ code: error.code }) }),
    challenge: (_need, { baseUrl }) => \`Bearer realm="\${baseUrl}"\`,
  },
};
`;

/** Another ecosystem that is found at the same mount. */
const GUEST = PLUGIN.replace("id: 'images'", "id: 'guests'")
  .replace("mountAlone: '/v2',", '')
  .replace('Bearer realm', 'Basic realm');

async function start(repositories: string, server = '') {
  const cwd = mkdtempSync(join(tmpdir(), 'entrepot-shared-'));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  writeFileSync(join(cwd, 'images.mjs'), PLUGIN);
  writeFileSync(join(cwd, 'guests.mjs'), GUEST);
  writeFileSync(
    join(cwd, 'entrepot.yaml'),
    `plugins: [./images.mjs, ./guests.mjs]\n${server}\nrepositories:\n${repositories}`,
  );
  const loaded = await loadConfig({ env: { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0' }, cwd });
  const host = await createHost(loaded, { logger: silentLogger });
  onTestFinished(() => host.close());
  return (await host.listen()).map(({ url }) => url) as [string, ...string[]];
}

async function ask(url: string, init?: RequestInit) {
  const answer = await fetch(url, init);
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text.startsWith('{') ? JSON.parse(text) : text };
}

const TWO = `
  hub: { type: images, kind: hosted, ns: docker.io }
  own: { type: images, kind: hosted, mount: /elsewhere }
  files: { type: files, kind: hosted }`;

describe('a mount that repositories share', () => {
  it.each<[string, object]>([
    ['/v2/hub/library/x', { repository: 'hub', segments: ['library', 'x'], mount: '/v2' }],
    ['/v2/own/a', { repository: 'own', segments: ['a'], mount: '/v2' }],
    ['/v2/hub', { repository: 'hub', segments: [], mount: '/v2' }],
    ['/v2/library/x?ns=docker.io', { repository: 'hub', segments: ['library', 'x'], mount: '/v2' }],
    ['/v2/own/x?ns=docker.io', { repository: 'hub', segments: ['own', 'x'], mount: '/v2' }],
    ['/v2/own?ns=docker.io', { repository: 'hub', segments: ['own'], mount: '/v2' }],
    ['/v2/hub/x?ns=docker.io', { repository: 'hub', segments: ['x'], mount: '/v2' }],
    ['/v2/hub/x?n=1', { repository: 'hub', segments: ['x'], mount: '/v2' }],
    ['/v2/hub/x?ns=quay.io', { repository: 'hub', segments: ['x'], mount: '/v2' }],
    ['/hub/a', { repository: 'hub', segments: ['a'] }],
    ['/elsewhere/a', { repository: 'own', segments: ['a'] }],
  ])('%s is for the repository that it names', async (path, expected) => {
    const [url] = await start(TWO);

    expect(await ask(url + path)).toMatchObject({ status: 200, body: { ...expected, method: 'GET' } });
  });

  it.each(['/v2', '/v2/', '/v2/?n=1'])('%s is answered by the mount', async (path) => {
    const [url] = await start(TWO);

    const { status, body, headers } = await ask(url + path);

    const names = [
      ['hub', 'images'],
      ['own', 'images'],
    ];
    expect([status, body, headers.get('x-images')]).toEqual([200, { mount: '/v2', names }, 'yes']);
  });

  it.each<[string, number, string]>([
    ['/v2/nothing/x', 404, 'NO_ROUTE'],
    ['/v2/files/x', 404, 'NO_ROUTE'],
    ['/v2/library/x?ns=quay.io', 404, 'NO_ROUTE'],
    ['/v2/nothing/../hub', 400, 'UNSAFE_PATH'],
    ['/v2/throws', 500, 'PLUGIN'],
    ['/v2/throws/x?ns=docker.io', 500, 'PLUGIN'],
  ])('%s is answered %i, as the clients expect it', async (path, status, code) => {
    const [url] = await start(TWO);
    // fetch would resolve the dots.
    const sent = path.replace('..', '%2e%2e%2f');

    const answer = await ask(url + sent);

    expect([answer.status, answer.body, answer.headers.get('x-images')]).toEqual([status, { code }, 'yes']);
  });

  it('belongs to a repository with a listener of its own, but for its root', async () => {
    const [main, apart] = await start(`
  hub: { type: images, kind: hosted }
  alone: { type: images, kind: hosted, listen: "127.0.0.1:0" }`);

    expect((await ask(`${main}/v2/alone/x`)).status).toBe(404);
    expect(await ask(`${apart}/v2/hub/x`)).toMatchObject({
      body: { repository: 'alone', segments: ['hub', 'x'], mount: '/v2' },
    });
    expect(await ask(`${apart}/v2/`)).toMatchObject({ body: { names: [['alone', 'images']] } });
    expect((await ask(`${apart}/alone/x`)).status).toBe(404);
  });

  it.each<[where: string, path: string, publicUrl: string, expected: string]>([
    ['its own mount', '/own/closed', '', '/own'],
    ['the shared mount', '/v2/own/closed', '', '/v2/own'],
    ['the shared mount, looked up', '/v2/closed?ns=docker.io', '', '/v2'],
    ['its own mount', '/own/closed', 'https://a.example.com/b', 'https://a.example.com/b/own'],
    ['the shared mount', '/v2/own/closed', 'https://a.example.com/b', 'https://a.example.com/v2/own'],
    ['the shared mount, looked up', '/v2/closed?ns=docker.io', 'https://a.example.com/b', 'https://a.example.com/v2'],
  ])('tells a repository its URL at %s: %s below %j is %s', async (_where, path, publicUrl, expected) => {
    const [url] = await start(
      `
  first: { type: images, kind: hosted, publicUrl: "https://first.example.com" }
  own: { type: images, kind: hosted, ns: docker.io, access: { users: { a: { passwordHash: "$2y$10$${'a'.repeat(53)}" } } } }`,
      publicUrl === '' ? '' : `server: { publicUrl: "${publicUrl}" }`,
    );

    const { headers } = await ask(url + path, { method: 'PUT', body: 'x' });

    expect(headers.get('www-authenticate')).toBe(`Bearer realm="${publicUrl === '' ? url : ''}${expected}"`);
  });

  it('asks who somebody is as its own ecosystem does it, also for another one that is found there', async () => {
    const [url] = await start(`
  guest: { type: guests, kind: hosted, access: { users: { a: { passwordHash: "$2y$10$${'a'.repeat(53)}" } } } }
  own: { type: images, kind: hosted }`);

    const { status, headers } = await ask(`${url}/v2/`);

    expect([status, headers.get('www-authenticate')]).toEqual([401, `Bearer realm="${url}/v2"`]);
  });

  it('is shown on the start page with the address that clients use', async () => {
    const [url] = await start(TWO, 'server: { publicUrl: "https://packages.example.com/entrepot" }');

    const { body } = await ask(url);

    expect(body).toContain('<code>https://packages.example.com/v2/hub/</code>');
    expect(body).toContain('<code>https://packages.example.com/v2/own/</code>');
  });
});
