import { pick, randomJsonObject, randomJsonValue, spellJson } from '@entrepot/fixtures/random-json';
import { pseudoRandom } from '@entrepot/core/testing';
import { describe as suite, expect, it } from 'vitest';
import { setImmediate as turn } from 'node:timers/promises';
import { EntrepotError, type Content, type RenderRequest } from '@entrepot/core';
import { parsePackument, type Packument } from '../src/packument.js';
import { renderPackument, type PackumentVariant } from '../src/representation.js';
import { contentOf } from './fixtures.js';

const BASE = 'https://packages.example.com/npm';

interface Asked {
  readonly name?: string;
  readonly pieceSize?: number;
  readonly refused?: readonly string[];
  /** Whether policy says why. */
  readonly explained?: boolean;
}

/** The representation of `body` for a client. */
async function rewrite(
  body: unknown,
  variant: PackumentVariant,
  { name = 'pkg', pieceSize, refused = [], explained = false }: Asked = {},
): Promise<string> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const resource = { class: 'packument', key: `packument/${name}`, path: name, variant };
  const request: RenderRequest = {
    resource,
    content: contentOf(text, pieceSize),
    isAbsent: false,
    baseUrl: BASE,
    headers: {},
    cachedKeys: [],
    refusal: ({ version }) => (explained && refused.includes(version ?? '') ? `${version} is held` : undefined),
    admits: ({ version }) => !refused.includes(version ?? ''),
  };
  const pieces: Buffer[] = [];
  const packument = await parsePackument(name, contentOf(text), []);
  for await (const piece of await renderPackument(packument, request)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString();
}

/** Rewrites `body` while it is being read; both see it in pieces of `pieceSize`, a turn of the event loop apart. */
async function rewriteArriving(text: string, variant: PackumentVariant, pieceSize: number): Promise<string> {
  const content = arriving(text, pieceSize);
  const pieces: Buffer[] = [];
  let written: Promise<void> | undefined;
  await parsePackument('pkg', content, [], (packument) => {
    written = (async () => {
      const request = { ...REQUEST, resource: { ...REQUEST.resource, variant }, content, isArriving: true };
      for await (const piece of await renderPackument(packument, request)) pieces.push(Buffer.from(piece));
    })();
  });
  await written;
  return Buffer.concat(pieces).toString();
}

const REQUEST: RenderRequest = {
  resource: { class: 'packument', key: 'packument/pkg', path: 'pkg' },
  content: contentOf(''),
  isAbsent: false,
  baseUrl: BASE,
  headers: {},
  cachedKeys: [],
  refusal: () => undefined,
  admits: () => true,
};

function arriving(text: string, pieceSize: number): Content {
  const whole = contentOf(text, pieceSize);
  return {
    ...whole,
    async *stream() {
      for await (const piece of whole.stream()) {
        await turn();
        yield piece;
      }
    },
  };
}

type Json = Record<string, unknown>;

async function rewriteJson(...asked: Parameters<typeof rewrite>): Promise<Json> {
  return JSON.parse(await rewrite(...asked)) as Json;
}

function version(number: string, more: object = {}): object {
  return {
    name: 'pkg',
    version: number,
    dist: { tarball: `https://registry.example.com/pkg/-/pkg-${number}.tgz` },
    ...more,
  };
}

function packument(...numbers: string[]): Json {
  return {
    name: 'pkg',
    'dist-tags': { latest: numbers.at(-1) },
    versions: Object.fromEntries(numbers.map((number) => [number, version(number)])),
    time: Object.fromEntries([
      ['modified', '2026-01-01T00:00:00.000Z'],
      ...numbers.map((number) => [number, '2020-01-01T00:00:00.000Z']),
    ]),
  };
}

suite('the full form', () => {
  it.each([
    ['pkg', '1.0.0', `${BASE}/pkg/-/pkg-1.0.0.tgz`, `${BASE}/-/npm/v1/attestations/pkg@1.0.0`],
    ['@s/p', '1.0.0-rc.1', `${BASE}/@s/p/-/p-1.0.0-rc.1.tgz`, `${BASE}/-/npm/v1/attestations/@s%2fp@1.0.0-rc.1`],
    [
      'JSONStream',
      '1.0.0+b',
      `${BASE}/JSONStream/-/JSONStream-1.0.0+b.tgz`,
      `${BASE}/-/npm/v1/attestations/JSONStream@1.0.0+b`,
    ],
    ['pkg', '../x?#', `${BASE}/pkg/-/pkg-..%2Fx%3F%23.tgz`, `${BASE}/-/npm/v1/attestations/pkg@..%2Fx%3F%23`],
    ['pkg', '\ud800', `${BASE}/pkg/-/pkg-%EF%BF%BD.tgz`, `${BASE}/-/npm/v1/attestations/pkg@%EF%BF%BD`],
  ])('points %s %s to this repository', async (name, number, tarball, url) => {
    const dist = {
      tarball: 'http://elsewhere.example.com/a?b',
      integrity: 'x',
      signatures: [1],
      attestations: { url: 'https://x.example.com/y', provenance: { a: 1 } },
    };
    const found = await rewriteJson({ name, versions: { [number]: { dist } } }, 'full', { name });
    expect(Object.values(found['versions'] as Json)).toStrictEqual([
      { dist: { ...dist, tarball, attestations: { url, provenance: { a: 1 } } } },
    ]);
  });

  it('keeps everything else as it was spelled', async () => {
    const text =
      '{"_id":"pkg","name":"pkg","odd":[1.0,1e2,"\\u0041"],"versions":{"1.0.0":{"x":[ 1 , 2.50 ],"dist":{"tarball":"t"}}},"readme":"é"}';
    expect(await rewrite(text, 'full')).toBe(text.replace('"t"', `"${BASE}/pkg/-/pkg-1.0.0.tgz"`));
  });

  it('leaves a tarball member elsewhere alone', async () => {
    const body = {
      name: 'pkg',
      tarball: 'a',
      dist: { tarball: 'b' },
      versions: { '1.0.0': { tarball: 'c', config: { dist: { tarball: 'd' } } } },
    };
    expect(await rewriteJson(body, 'full')).toStrictEqual(body);
  });

  it('rewrites what occurs twice in both places', async () => {
    const text = '{"name":"pkg","versions":{"1.0.0":{"dist":{"tarball":"a","tarball":"b"},"dist":{"tarball":"c"}}}}';
    expect(await rewrite(text, 'full')).not.toMatch(/"[abc]"/);
  });
});

suite('the abbreviated form', () => {
  it('has the members that clients install by, and the dates', async () => {
    const body = {
      _id: 'pkg',
      _rev: '1',
      name: 'pkg',
      readme: 'long',
      'dist-tags': { latest: '1.0.0' },
      versions: {
        '1.0.0': {
          ...version('1.0.0'),
          dependencies: { a: '1' },
          peerDependenciesMeta: {},
          libc: ['glibc'],
          scripts: { test: 'x' },
          readme: 'y',
          maintainers: [],
        },
      },
      time: {
        created: '2020-01-01T00:00:00.000Z',
        modified: '2021-01-01T00:00:00.000Z',
        '1.0.0': '2020-01-01T00:00:00.000Z',
      },
    };
    const { name, version: number, dist } = version('1.0.0') as Json;
    expect(await rewriteJson(body, 'abbreviated')).toStrictEqual({
      name: 'pkg',
      'dist-tags': { latest: '1.0.0' },
      versions: {
        '1.0.0': {
          name,
          version: number,
          dist: { ...(dist as Json), tarball: `${BASE}/pkg/-/pkg-1.0.0.tgz` },
          dependencies: { a: '1' },
          peerDependenciesMeta: {},
          libc: ['glibc'],
        },
      },
      time: body.time,
      modified: '2021-01-01T00:00:00.000Z',
    });
  });

  it.each([
    [{ scripts: { install: 'x' } }, true],
    [{ scripts: { preinstall: 'x' } }, true],
    [{ scripts: { postinstall: 'x', test: 'y' } }, true],
    [{ gypfile: true }, true],
    [{ gypfile: false }, undefined],
    [{ scripts: { install: '' } }, undefined],
    [{ scripts: { prepare: 'x' } }, undefined],
    [{ scripts: 'install' }, undefined],
    [{ scripts: null }, undefined],
    [{ hasInstallScript: false, scripts: { install: 'x' } }, false],
    [{ scripts: { install: 'x' }, hasInstallScript: true }, true],
    [{ scripts: { postinstall: 'x'.repeat(100_000) } }, true],
    [{}, undefined],
  ])('says whether %j runs an install script', async (manifest, expected) => {
    const body = { name: 'pkg', versions: { '1.0.0': manifest, '2.0.0': {} } };
    const versions = (await rewriteJson(body, 'abbreviated'))['versions'] as Record<string, Json>;
    expect(versions['1.0.0']?.['hasInstallScript']).toBe(expected);
    expect(versions['2.0.0']).toStrictEqual({});
  });

  it('keeps what an upstream that only has this form sends', async () => {
    const body = {
      name: 'pkg',
      modified: '2021-01-01T00:00:00.000Z',
      'dist-tags': {},
      versions: { '1.0.0': { hasInstallScript: true } },
    };
    expect(await rewriteJson(body, 'abbreviated')).toStrictEqual(body);
  });
});

suite('versions that policy refuses', () => {
  it.each(['full', 'abbreviated'] as const)('are gone with their dates from the %s form', async (variant) => {
    const found = await rewriteJson(packument('1.0.0', '1.1.0', '2.0.0'), variant, { refused: ['1.0.0', '2.0.0'] });
    expect(Object.keys(found['versions'] as Json)).toStrictEqual(['1.1.0']);
    expect(Object.keys(found['time'] as Json)).toStrictEqual(['modified', '1.1.0']);
    expect(found['dist-tags']).toStrictEqual({ latest: '1.1.0' });
  });

  it.each([
    ['the newest stable one below', { latest: '2.0.0' }, ['2.0.0'], { latest: '1.10.0' }],
    ['no prerelease from a stable one', { latest: '2.0.0' }, ['2.0.0', '1.10.0', '1.9.0'], {}],
    ['an older prerelease from a prerelease', { beta: '2.1.0-beta.2' }, ['2.1.0-beta.2'], { beta: '2.1.0-beta.1' }],
    [
      'a stable one from a prerelease when it is the newest',
      { beta: '2.1.0-beta.1' },
      ['2.1.0-beta.1'],
      { beta: '2.0.0' },
    ],
    ['nothing newer for a maintenance tag', { v1: '1.9.0' }, ['1.9.0'], {}],
    ['something newer for latest when nothing is left below', { latest: '1.9.0' }, ['1.9.0'], { latest: '2.0.0' }],
    ['the same version when it is left', { latest: '1.9.0' }, ['2.0.0'], { latest: '1.9.0' }],
    ['the same place when it never existed', { old: '0.1.0' }, ['2.0.0'], { old: '0.1.0' }],
  ])('leave their tags to %s', async (_, tags, refused, expected) => {
    const body = { ...packument('1.10.0', '1.9.0', '2.0.0', '2.1.0-beta.1', '2.1.0-beta.2'), 'dist-tags': tags };
    expect((await rewriteJson(body, 'full', { refused }))['dist-tags']).toStrictEqual(expected);
    expect(await rewriteJson(body, 'dist-tags', { refused })).toStrictEqual(expected);
  });

  it('leave their tags to a deprecated version only when there is no other', async () => {
    const versions = {
      '1.0.0': version('1.0.0'),
      '1.1.0': version('1.1.0', { deprecated: 'bad' }),
      '1.2.0': version('1.2.0'),
    };
    const body = { name: 'pkg', 'dist-tags': { latest: '1.2.0' }, versions };
    expect(await rewriteJson(body, 'dist-tags', { refused: ['1.2.0'] })).toStrictEqual({ latest: '1.0.0' });
    expect(await rewriteJson(body, 'dist-tags', { refused: ['1.2.0', '1.0.0'] })).toStrictEqual({ latest: '1.1.0' });
  });

  it.each(['full', 'abbreviated', 'dist-tags', 'version:latest'] as const)(
    'are an error when none is left: %s',
    async (variant) => {
      const failure = rewrite(packument('1.0.0', '2.0.0'), variant, { refused: ['1.0.0', '2.0.0'] });
      await expect(failure).rejects.toBeInstanceOf(EntrepotError);
      await expect(failure).rejects.toMatchObject({
        kind: 'policy-denied',
        message: 'policy refuses all 2 versions of pkg',
      });
    },
  );

  it.each(['full', 'abbreviated'] as const)('are told with the reason to npm in the %s form', async (variant) => {
    const body = { ...packument('1.0.0', '1.1.0', '2.0.0'), policyRestrictions: { message: 'theirs', versions: {} } };
    const refused = ['1.1.0', '2.0.0'];
    expect((await rewriteJson(body, variant, { refused, explained: true }))['policyRestrictions']).toStrictEqual({
      message: '2.0.0 is held\n1.1.0 is held',
      versions: { '1.1.0': { name: 'pkg', version: '1.1.0' }, '2.0.0': { name: 'pkg', version: '2.0.0' } },
    });
    const failure = rewrite(body, 'version:2.0.0', { refused, explained: true });
    await expect(failure).rejects.toMatchObject({ kind: 'policy-denied', message: '2.0.0 is held' });
  });

  it('are no error when there never was one', async () => {
    const body = { name: 'pkg', versions: {}, time: { unpublished: { name: 'x' } } };
    expect(await rewriteJson(body, 'full')).toStrictEqual(body);
  });
});

suite('version documents and dist-tags', () => {
  const body = {
    ...packument('1.0.0', '2.0.0'),
    'dist-tags': { latest: '2.0.0', '1.0.0': '2.0.0', gone: '9.9.9', __proto__: null },
  };

  it.each([
    ['1.0.0', '1.0.0'],
    ['latest', '2.0.0'],
  ])('finds %s', async (asked, number) => {
    for (const pieceSize of [1, 50, Infinity]) {
      expect(await rewriteJson(body, `version:${asked}`, { pieceSize })).toStrictEqual({
        name: 'pkg',
        version: number,
        dist: { tarball: `${BASE}/pkg/-/pkg-${number}.tgz` },
      });
    }
  });

  it.each(['3.0.0', 'gone', '^1.0.0', 'constructor', '__proto__', 'toString'])('finds no %s', async (asked) => {
    await expect(rewrite(body, `version:${asked}`)).rejects.toMatchObject({
      kind: 'not-found',
      message: `version not found: pkg@${asked}`,
    });
  });

  it('does not give a version that policy refuses, and moves its tag', async () => {
    await expect(rewrite(body, 'version:2.0.0', { refused: ['2.0.0'] })).rejects.toMatchObject({
      kind: 'policy-denied',
    });
    expect(await rewriteJson(body, 'version:latest', { refused: ['2.0.0'] })).toMatchObject({ version: '1.0.0' });
  });

  it('gives the tags', async () => {
    expect(
      await rewrite('{"name":"pkg","dist-tags":{"latest":"1.0.0","__proto__":"2.0.0"},"versions":{}}', 'dist-tags'),
    ).toBe('{"latest":"1.0.0","__proto__":"2.0.0"}');
    expect(await rewrite({ name: 'pkg' }, 'dist-tags')).toBe('{}');
  });
});

suite('every form', () => {
  const ABBREVIATED = new Set(
    'name version deprecated dependencies acceptDependencies optionalDependencies devDependencies peerDependencies peerDependenciesMeta bundleDependencies bundledDependencies bin directories dist engines _hasShrinkwrap hasInstallScript funding cpu os libc'.split(
      ' ',
    ),
  );

  function isObject(value: unknown): value is Json {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  }

  /** `object` with each member as `change` says; `undefined` leaves it out. */
  function map(object: Json, change: (key: string, value: unknown) => unknown): Json {
    const changed: Json = Object.create(null) as Json;
    for (const [key, value] of Object.entries(object)) {
      const other = change(key, value);
      if (other !== undefined) changed[key] = other;
    }
    return changed;
  }

  function restrictions(refused: readonly string[]): Json {
    const versions: Json = Object.create(null) as Json;
    for (const number of refused) versions[number] = { name: 'pkg', version: number };
    const named = refused.slice(-3).map((number) => `policy refuses pkg@${number}`);
    const others = refused.length > 3 ? [`and ${refused.length - 3} older versions`] : [];
    return { message: [...named.reverse(), ...others].join('\n'), versions };
  }

  /** The same by parsing the whole. */
  function oracle(body: Json, variant: 'full' | 'abbreviated', refused: readonly string[]): Json {
    const isFull = variant === 'full';
    let modified: unknown;
    const found = map(body, (key, value) => {
      if (key === 'versions') {
        return map(value as Json, (number, manifest) => {
          if (refused.includes(number)) return undefined;
          const changed = map(manifest as Json, (part, content) => {
            if (part === 'dist' && isObject(content)) {
              return map(content, (member, old) => {
                if (member === 'tarball')
                  return `${BASE}/pkg/-/pkg-${encodeURIComponent(number).replace('%2B', '+')}.tgz`;
                if (member !== 'attestations' || !isObject(old)) return old;
                return map(old, (each, url) =>
                  each === 'url'
                    ? `${BASE}/-/npm/v1/attestations/pkg@${encodeURIComponent(number).replace('%2B', '+')}`
                    : url,
                );
              });
            }
            return isFull || ABBREVIATED.has(part) ? content : undefined;
          });
          const scripts = (manifest as Json)['scripts'];
          const runs = isObject(scripts) && typeof scripts['install'] === 'string' && scripts['install'] !== '';
          if (!isFull && runs && !('hasInstallScript' in changed)) changed['hasInstallScript'] = true;
          return changed;
        });
      }
      if (key === 'time' && isObject(value)) {
        modified = value['modified'];
        return map(value, (number, date) => (refused.includes(number) ? undefined : date));
      }
      return isFull || ['name', 'dist-tags', 'time', 'modified'].includes(key) ? value : undefined;
    });
    if (!isFull && !('modified' in found) && typeof modified === 'string') found['modified'] = modified;
    if (refused.length > 0) found['policyRestrictions'] = restrictions(refused);
    return found;
  }

  it('is what parsing the whole and printing it gives, wherever the pieces end', async () => {
    const random = pseudoRandom(5);
    const names = ['1.0.0', '1.0.0+build', '2.0.0-x', '__proto__', 'constructor', 'é"\\'];
    for (let round = 0; round < 60; round++) {
      const versions: Json = Object.create(null) as Json;
      const time: Json = Object.create(null) as Json;
      if (random() < 0.5) time['modified'] = '2026-01-01T00:00:00.000Z';
      for (let left = Math.floor(random() * 6); left > 0; left--) {
        const number = pick(random, names);
        time[number] = '2020-01-01T00:00:00.000Z';
        versions[number] = Object.assign(randomJsonObject(random), {
          dist:
            random() < 0.1
              ? randomJsonValue(random)
              : Object.assign(randomJsonObject(random), {
                  tarball: 'https://x.example.com/y',
                  attestations: random() < 0.5 ? { url: 'z', more: randomJsonValue(random) } : randomJsonValue(random),
                }),
          scripts: pick<unknown>(random, [{ install: 'x' }, { test: 'x' }, null, 'install', { install: 3 }]),
          ...(random() < 0.3 ? { hasInstallScript: randomJsonValue(random) } : {}),
          dependencies: randomJsonValue(random),
          funding: randomJsonValue(random),
        });
      }
      const body: Json = Object.assign(randomJsonObject(random), { versions, name: 'pkg', time, readme: 'x' });
      const refused = Object.keys(versions).filter(() => random() < 0.3);
      if (refused.length === Object.keys(versions).length) refused.length = 0;
      const text = spellJson(random, body);
      for (const variant of ['full', 'abbreviated'] as const) {
        const expected = JSON.stringify(oracle(body, variant, refused));
        for (const pieceSize of [1, 13, Infinity]) {
          const found = await rewrite(text, variant, { refused, pieceSize });
          expect(JSON.stringify(JSON.parse(found)), text).toBe(expected);
        }
        if (refused.length > 0) continue;
        for (const pieceSize of [7, 64])
          expect(await rewriteArriving(text, variant, pieceSize)).toBe(await rewrite(text, variant));
      }
    }
  });
});

suite('a packument that is still arriving', () => {
  it('is written as far as it is here', async () => {
    const numbers = Array.from({ length: 400 }, (_, index) => `1.${index}.0`);
    const bytes = Buffer.from(JSON.stringify(packument(...numbers)));
    let release = (): void => {};
    const rest = new Promise<void>((resolve) => (release = resolve));
    const content: Content = {
      ...contentOf(bytes),
      async *stream() {
        yield bytes.subarray(0, bytes.length / 2);
        await rest;
        yield bytes.subarray(bytes.length / 2);
      },
    };
    let parsed: Promise<unknown> | undefined;
    const arrived = await new Promise<Packument>((resolve) => {
      parsed = parsePackument('pkg', content, [], resolve);
    });
    const pieces = await renderPackument(arrived, { ...REQUEST, content, isArriving: true });
    const output = (pieces as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    const next = async (): Promise<string | undefined> => {
      const { done, value } = await output.next();
      return done === true ? undefined : Buffer.from(value).toString();
    };
    let text = '';
    while (!text.includes(`${BASE}/pkg/-/pkg-1.0.0.tgz`)) text += (await next()) ?? 'ended';
    release();
    for (let piece = await next(); piece !== undefined; piece = await next()) text += piece;
    await parsed;
    expect(text).toBe(await rewrite(bytes.toString(), 'full'));
  });

  it.each(['dist-tags', 'version:1.0.0', 'version:latest'] as const)(
    'has no %s before it is whole',
    async (variant) => {
      const text = JSON.stringify(packument('1.0.0'));
      expect(await rewriteArriving(text, variant, 16)).toBe(await rewrite(text, variant));
    },
  );

  it('fails with what is wrong with it', async () => {
    await expect(rewriteArriving('{"name":"pkg","versions":{"1.0.0":{}},', 'full', 8)).rejects.toMatchObject({
      code: 'UPSTREAM_MALFORMED',
    });
  });
});
