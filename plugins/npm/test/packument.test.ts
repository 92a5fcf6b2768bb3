import { pick, randomJsonObject, randomJsonValue, spellJson } from '@entrepot/fixtures/random-json';
import { pseudoRandom } from '@entrepot/core/testing';
import { describe as suite, expect, it } from 'vitest';
import { EntrepotError, type ArtifactDescription, type Upstream } from '@entrepot/core';
import { checkList, describeVersion, parsePackument } from '../src/packument.js';
import { contentOf } from './fixtures.js';

const UPSTREAMS: readonly Upstream[] = [{ url: 'https://registry.example.com/base/' }];
const SHA512 = `sha512-${Buffer.alloc(64, 1).toString('base64')}`;
const SHA512_HEX = '01'.repeat(64);
const SHA1_HEX = '02'.repeat(20);

async function read(
  name: string,
  body: unknown,
  pieceSize?: number,
): Promise<ReadonlyMap<string, ArtifactDescription>> {
  const content = contentOf(typeof body === 'string' ? body : JSON.stringify(body), pieceSize);
  const packument = await parsePackument(name, content, UPSTREAMS);
  return Object.assign(new Map(packument.descriptions()), { get: (key: string) => packument.describe(key) });
}

/** A packument with one version `1.0.0` that has `manifest`. */
async function readVersion(manifest: object, name = 'pkg'): Promise<ArtifactDescription | undefined> {
  const file = `${name.slice(name.indexOf('/') + 1)}-1.0.0.tgz`;
  return (await read(name, { name, versions: { '1.0.0': manifest } })).get(`tarball/${name}/-/${file}`);
}

suite('what a packument says of its tarballs', () => {
  it('gives every fact of a version', async () => {
    const described = await read('@acme/pkg', {
      name: '@acme/pkg',
      time: { created: '2020-01-01T00:00:00.000Z', '1.0.0': '2020-01-02T03:04:05.678Z' },
      versions: {
        '1.0.0': {
          license: 'MIT',
          deprecated: 'use 2',
          dist: { integrity: SHA512, shasum: SHA1_HEX, tarball: 'https://cdn.example.com/x/pkg-1.0.0.tgz?sig=1' },
        },
      },
    });
    expect([...described]).toStrictEqual([
      [
        'tarball/@acme/pkg/-/pkg-1.0.0.tgz',
        {
          integrity: [{ algorithm: 'sha512', hex: SHA512_HEX }],
          location: 'https://cdn.example.com/x/pkg-1.0.0.tgz?sig=1',
          coordinates: { ecosystem: 'npm', name: '@acme/pkg', version: '1.0.0' },
          publishedAt: Date.parse('2020-01-02T03:04:05.678Z'),
          licenses: ['MIT'],
          deprecated: true,
          installScripts: false,
          exoticDependencies: [],
          provenance: 'none',
          publisher: undefined,
        },
      ],
    ]);
  });

  it('tells of a version what was there before it', async () => {
    const trusted = { name: 'GitHub Actions', email: 'x', trustedPublisher: { id: 'github' } };
    const described = await read('pkg', {
      name: 'pkg',
      versions: {
        '2.0.0': {
          _npmUser: { name: 'mallory' },
          scripts: { postinstall: 'node x.js', test: 'x' },
          dependencies: { a: '^1.0.0', evil: 'github:mallory/evil', alias: 'npm:other@1' },
          optionalDependencies: { b: 'https://x.example.com/b.tgz' },
          dist: { integrity: SHA512 },
        },
        '0.9.1': { _npmUser: { name: 'alice' }, dist: { attestations: { url: 'x' } } },
        '1.0.0': {
          _npmUser: trusted,
          dependencies: { a: '1.0.0' },
          scripts: { postinstall: '' },
          dist: { attestations: {} },
        },
        '3.0.0': {},
      },
      time: { '1.0.0': '2026-01-01T00:00:00Z', '2.0.0': '2026-01-02T00:00:00Z', '0.9.1': '2026-01-03T00:00:00Z' },
    });
    const of = (version: string): object => described.get(`tarball/pkg/-/pkg-${version}.tgz`) ?? {};
    expect(of('2.0.0')).toMatchObject({
      installScripts: true,
      exoticDependencies: ['evil@github:mallory/evil', 'b@https://x.example.com/b.tgz'],
      newDependencies: ['evil', 'alias', 'b'],
      provenance: 'none',
      publisher: 'mallory',
      before: [
        {
          version: '1.0.0',
          publishedAt: Date.UTC(2026, 0, 1),
          sameBranch: false,
          installScripts: false,
          provenance: 'trusted-publisher',
          publisher: 'GitHub Actions',
        },
      ],
    });
    expect(of('1.0.0')).toMatchObject({ installScripts: false, provenance: 'trusted-publisher' });
    expect(of('1.0.0')).not.toHaveProperty('before');
    expect(of('0.9.1')).toMatchObject({ provenance: 'attested', before: [{ version: '2.0.0' }, { version: '1.0.0' }] });
    // No date: nothing to compare with.
    expect(of('3.0.0')).not.toHaveProperty('before');
    expect(described.get('attestations/pkg@2.0.0')).toBe(of('2.0.0'));
  });

  it.each([
    ['git+ssh://git@x.example.com/a.git', true],
    ['git://x.example.com/a', true],
    ['git@x.example.com:a/b.git', true],
    ['mallory/evil', true],
    ['mallory/evil#semver:^1', true],
    ['http://x.example.com/a.tgz', true],
    ['file:../a', true],
    ['./a', true],
    ['^1.0.0 || >=2', false],
    ['latest', false],
    ['npm:@scope/other@^1', false],
    ['workspace:*', false],
    ['*', false],
    ['', false],
  ])('knows whether %s comes from elsewhere', async (specifier, exotic) => {
    const described = await readVersion({ dependencies: { a: specifier } });
    expect((described?.exoticDependencies ?? []).length > 0).toBe(exotic);
  });

  it('knows the placeholder of what was taken down', async () => {
    const described = await read('pkg', { name: 'pkg', versions: { '0.0.1-security': {} } });
    expect(described.get('tarball/pkg/-/pkg-0.0.1-security.tgz')).toMatchObject({ upstream: 'quarantined' });
  });

  it.each([
    [
      'the strongest of several sums',
      { integrity: `sha1-${Buffer.alloc(20, 2).toString('base64')} ${SHA512}`, shasum: SHA1_HEX },
      `sha512:${SHA512_HEX}`,
    ],
    ['shasum where there is no integrity', { shasum: SHA1_HEX.toUpperCase() }, `sha1:${SHA1_HEX}`],
    ['shasum where the integrity is none', { integrity: 'md99-xx', shasum: SHA1_HEX }, `sha1:${SHA1_HEX}`],
    ['nothing where both are missing', {}, ''],
    ['nothing where both are no sums', { integrity: 7, shasum: ['x'] }, ''],
  ])('takes %s', async (_, dist, expected) => {
    const described = await readVersion({ dist });
    expect(described?.integrity.map(({ algorithm, hex }) => `${algorithm}:${hex}`).join()).toBe(expected);
  });

  it.each([
    ['https://registry.example.com/base/pkg/-/pkg-1.0.0.tgz', undefined],
    ['http://registry.example.com/base/pkg/-/pkg-1.0.0.tgz', undefined],
    ['http://registry.example.com/other/pkg-1.0.0.tgz', 'https://registry.example.com/other/pkg-1.0.0.tgz'],
    [
      'http://registry.example.com:8080/base/pkg/-/pkg-1.0.0.tgz',
      'http://registry.example.com:8080/base/pkg/-/pkg-1.0.0.tgz',
    ],
    ['http://old.example.com/pkg-1.0.0.tgz', 'http://old.example.com/pkg-1.0.0.tgz'],
    ['https://npm.example.com/download/pkg/1.0.0/abcdef', 'https://npm.example.com/download/pkg/1.0.0/abcdef'],
    ['file:///etc/passwd', undefined],
    ['not a url', undefined],
    [undefined, undefined],
    [42, undefined],
  ])('finds the tarball %j at %j', async (tarball, location) => {
    expect((await readVersion({ dist: { tarball } }))?.location).toBe(location);
  });

  it('is found under the upstream file name as well, unless that is another version', async () => {
    const described = await read('pkg', {
      name: 'pkg',
      versions: {
        '1.0.0': { dist: { tarball: 'https://registry.example.com/base/pkg/-/pkg-first.tgz' } },
        '2.0.0': { dist: { tarball: 'https://registry.example.com/base/pkg/-/pkg-3.0.0.tgz' } },
        '3.0.0': { dist: { tarball: 'https://registry.example.com/base/pkg/-/pkg-3.0.0.tgz' } },
      },
    });
    const versions = [...described].map(([key, { coordinates }]) => [key, coordinates?.version]);
    expect(versions).toStrictEqual([
      ['tarball/pkg/-/pkg-1.0.0.tgz', '1.0.0'],
      ['tarball/pkg/-/pkg-2.0.0.tgz', '2.0.0'],
      ['tarball/pkg/-/pkg-3.0.0.tgz', '3.0.0'],
      ['tarball/pkg/-/pkg-first.tgz', '1.0.0'],
    ]);
    expect(described.get('tarball/pkg/-/pkg-first.tgz')?.location).toBe(
      'https://registry.example.com/base/pkg/-/pkg-first.tgz',
    );
  });

  it.each([
    [{ license: 'MIT OR Apache-2.0' }, ['MIT OR Apache-2.0']],
    [{ license: { type: 'BSD', url: 'https://example.com' } }, ['BSD']],
    [{ licenses: [{ type: 'MIT' }, 'ISC', { type: 3 }, null] }, ['MIT', 'ISC']],
    [{ license: null }, undefined],
    [{ license: 'x'.repeat(300) }, undefined],
    [{}, undefined],
  ])('reads the licences of %j', async (manifest, licenses) => {
    expect((await readVersion(manifest))?.licenses).toStrictEqual(licenses);
  });

  it.each([
    [{ deprecated: '' }, false],
    [{ deprecated: false }, false],
    [{ deprecated: true }, true],
    [{ deprecated: 'no more' }, true],
    [{}, false],
  ])('reads whether %j is deprecated', async (manifest, deprecated) => {
    expect((await readVersion(manifest))?.deprecated).toBe(deprecated);
  });

  it.each([
    ['no versions', { name: 'pkg', time: { unpublished: { name: 'x' } } }],
    ['empty versions', { name: 'pkg', versions: {} }],
    ['dist-tags only', { name: 'pkg', 'dist-tags': { latest: '1.0.0' } }],
  ])('says nothing of a packument with %s', async (_, body) => {
    expect((await read('pkg', body)).size).toBe(0);
  });

  it('has no special names', async () => {
    const versions = '{"__proto__":{"dist":{"shasum":"' + SHA1_HEX + '"}},"constructor":{},"hasOwnProperty":{}}';
    const described = await read('constructor', `{"name":"constructor","versions":${versions}}`);
    expect([...described.values()].map(({ coordinates }) => coordinates?.version)).toStrictEqual([
      '__proto__',
      'constructor',
      'hasOwnProperty',
    ]);
  });

  it.each([
    ['a sign-in page', '<!doctype html><html></html>'],
    ['nothing', ''],
    ['a list', '[]'],
    ['null', 'null'],
    ['a text', '"pkg"'],
    ['no name', '{"versions":{}}'],
    ['another name', '{"name":"other","versions":{}}'],
    ['another case', '{"name":"PKG","versions":{}}'],
    ['a name that is no text', '{"name":["pkg"],"versions":{}}'],
    ['an error', '{"error":"not found"}'],
    ['versions that are a list', '{"name":"pkg","versions":[]}'],
    ['versions that are null', '{"name":"pkg","versions":null}'],
    ['a version that is no object', '{"name":"pkg","versions":{"1.0.0":null}}'],
    ['dist-tags that are a list', '{"name":"pkg","dist-tags":[]}'],
    ['a version twice', '{"name":"pkg","versions":{"1.0.0":{},"1.0.0":{"dist":{}}}}'],
    ['versions twice', '{"name":"pkg","versions":{},"versions":{}}'],
    ['a name twice', '{"name":"other","name":"pkg","versions":{}}'],
    ['the name spelled by escapes, twice', '{"n\\u0061me":"pkg","name":"pkg"}'],
    ['a half', '{"name":"pkg","versions":{"1.0.0":{"dist":{"tarball":"https:'],
    ['something after it', '{"name":"pkg","versions":{}}{}'],
  ])('refuses %s', async (_, body) => {
    const failure: unknown = await read('pkg', body).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(EntrepotError);
    expect(failure).toMatchObject({ kind: 'upstream-unavailable', code: 'UPSTREAM_MALFORMED', staleAllowed: true });
  });

  it('is the same as of a parsed packument, wherever the pieces end', async () => {
    const random = pseudoRandom(3);
    for (let round = 0; round < 40; round++) {
      const versions = new Map<string, Record<string, unknown>>();
      for (let left = Math.floor(random() * 5); left > 0; left--) {
        const version = pick(random, ['1.0.0', '2.0.0-beta.1', '1.0.0+build', '__proto__', 'v3', 'ü']);
        const dist = Object.assign(Object.create(null), randomJsonObject(random), {
          integrity: pick<unknown>(random, [SHA512, 'sha512-x', null, 3]),
          shasum: pick<unknown>(random, [SHA1_HEX, 'x', {}]),
        }) as Record<string, unknown>;
        versions.set(version, Object.assign(randomJsonObject(random), { dist, deprecated: randomJsonValue(random) }));
      }
      const body = spellJson(random, {
        ...randomJsonObject(random),
        name: 'pkg',
        versions: Object.assign(Object.create(null), Object.fromEntries(versions)),
      });
      const expected = [...versions].map(([version, { dist, deprecated }]) => {
        const { integrity, shasum } = dist as { integrity: unknown; shasum: unknown };
        const sum = integrity === SHA512 ? SHA512_HEX : shasum === SHA1_HEX ? SHA1_HEX : undefined;
        return [version, sum, deprecated === true || (typeof deprecated === 'string' && deprecated !== '')];
      });
      for (const pieceSize of [1, 7, Infinity]) {
        const described = [...(await read('pkg', body, pieceSize)).values()];
        const found = described.map(({ coordinates, integrity, deprecated }) => [
          coordinates?.version,
          integrity[0]?.hex,
          deprecated,
        ]);
        expect(found).toStrictEqual(expected);
      }
    }
  });

  it('lets other work run while a large one is read, also when it arrives in one piece', async () => {
    const versions = Array.from(
      { length: 3_000 },
      (_, patch) => `"1.0.${patch}":{"readme":"${'x'.repeat(4_000)}","dist":{}}`,
    );
    const content = contentOf(`{"name":"pkg","versions":{${versions.join(',')}}}`);
    let turns = 0;
    let running = true;
    const count = (): void => {
      turns++;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    const described = await parsePackument('pkg', content, UPSTREAMS);
    running = false;
    expect(described.versions.size).toBe(3_000);
    expect(turns).toBeGreaterThan(2);
  });
});

suite('the other documents', () => {
  const keys = { class: 'keys', key: 'keys', path: '-/npm/v1/keys' };

  it('say nothing of artifacts', async () => {
    expect(await checkList(contentOf('{"keys":[]}'), keys)).toStrictEqual({ weight: 0 });
  });

  it.each(['<html>', '[]', 'null', ''])('are refused when they are no JSON object: %j', async (body) => {
    await expect(checkList(contentOf(body), keys)).rejects.toMatchObject({ code: 'UPSTREAM_MALFORMED' });
  });
});

suite('what a version document says of its tarball', () => {
  async function readOne(body: unknown, name = '@acme/pkg'): Promise<ReadonlyMap<string, ArtifactDescription>> {
    const content = contentOf(typeof body === 'string' ? body : JSON.stringify(body));
    return new Map((await describeVersion(name, '1.0.0', content, UPSTREAMS)).descriptions?.());
  }

  it('gives what is promised of its bytes, and where they are', async () => {
    const tarball = 'https://cdn.example.com/x/pkg-1.0.0.tgz';
    const dist = { integrity: SHA512, shasum: SHA1_HEX, tarball };
    const described = await readOne({ name: '@acme/pkg', version: '1.0.0', license: 'MIT', dist });
    expect([...described]).toStrictEqual([
      [
        'tarball/@acme/pkg/-/pkg-1.0.0.tgz',
        {
          integrity: [{ algorithm: 'sha512', hex: SHA512_HEX }],
          location: tarball,
          coordinates: { ecosystem: 'npm', name: '@acme/pkg', version: '1.0.0' },
        },
      ],
    ]);
  });

  it.each([
    ['no JSON', '<html>'],
    ['a list', '[]'],
    ['another package', { name: 'pkg', version: '1.0.0', dist: { integrity: SHA512 } }],
    ['another version, for a tag', { name: '@acme/pkg', version: '2.0.0', dist: { integrity: SHA512 } }],
    ['a packument', { name: '@acme/pkg', versions: { '1.0.0': { dist: { integrity: SHA512 } } } }],
  ])('is refused when it is %s', async (_what, body) => {
    await expect(readOne(body)).rejects.toMatchObject({ code: 'UPSTREAM_MALFORMED' });
  });
});
