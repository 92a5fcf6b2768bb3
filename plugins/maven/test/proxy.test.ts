import type { FactName, PolicyEngine } from '@entrepot/core';
import { FixedPolicy } from '@entrepot/core/testing';
import { describe, expect, it } from 'vitest';
import { jar, metadata, pom, sum } from './fixtures.js';
import { open, versionsIn } from './scene.js';

const TOOL = '/org/example/tool';
const JAR = `${TOOL}/1.0/tool-1.0.jar`;
const POM = `${TOOL}/1.0/tool-1.0.pom`;
const METADATA = `${TOOL}/maven-metadata.xml`;

describe('sidecars', () => {
  it.each(['md5', 'sha1', 'sha256', 'sha512'])('are made from the bytes that are here: %s', async (algorithm) => {
    const { ask, serve, asked, text } = await open();
    serve('one', JAR, jar('tool'));
    const { body, headers } = await ask(JAR);
    expect(headers['x-checksum-sha1']).toBe(sum('sha1', body));
    const before = asked().length;
    expect(await text(`${JAR}.${algorithm}`)).toBe(sum(algorithm, body));
    expect(asked()).toHaveLength(before);
  });

  it('have the file fetched where it is not here', async () => {
    const { serve, text } = await open();
    serve('one', JAR, jar('tool'));
    expect(await text(`${JAR}.sha1`)).toBe(sum('sha1', jar('tool')));
  });

  it('go with the bytes of a file that changes', async () => {
    const { serve, text, clock } = await open();
    const path = `${TOOL}/2.0-SNAPSHOT/tool-2.0-SNAPSHOT.jar`;
    for (const build of ['first', 'second']) {
      serve('one', path, jar(build));
      expect(await text(path)).toBe(jar(build));
      expect(await text(`${path}.sha1`)).toBe(sum('sha1', jar(build)));
      clock.advance(61_000);
    }
  });

  it('go with metadata, whatever the upstream says of its own', async () => {
    const { ask, serve, upstream } = await open();
    serve('one', METADATA, metadata('org.example:tool', ['1.0']), false);
    upstream.serve(`/one${METADATA}.sha1`, { body: sum('sha1', 'another') });
    const { body, headers } = await ask(METADATA);
    expect((await ask(`${METADATA}.sha1`)).body.toString()).toBe(sum('sha1', body));
    expect(headers['x-checksum-sha1']).toBe(sum('sha1', body));
  });
});

describe('the sum of metadata', () => {
  it('is that of the copy that clients were given, also when the upstream has another by then', async () => {
    const { serve, text, clock } = await open();
    serve('one', METADATA, metadata('org.example:tool', ['1.0']));
    const first = await text(METADATA);
    serve('one', METADATA, metadata('org.example:tool', ['1.0', '1.1']));
    clock.advance(600_000);
    expect(await text(`${METADATA}.sha1`)).toBe(sum('sha1', first));
    const second = await text(METADATA);
    expect(versionsIn(second)).toEqual(['1.0', '1.1']);
    expect(await text(`${METADATA}.sha1`)).toBe(sum('sha1', second));
  });
});

describe('wrong answers of upstreams', () => {
  it.each([
    ['a jar that differs from its sum', JAR, jar('tool'), sum('sha1', 'other')],
    ['a POM that differs from its sum', POM, pom('org.example:tool:1.0'), sum('sha1', 'other')],
    ['a page in place of a jar', JAR, '<html><body>Forbidden</body></html>', undefined],
    ['a page in place of a POM', POM, '<!DOCTYPE html><html></html>', undefined],
    ['nothing in place of a POM', POM, '', undefined],
    ['a page in place of a sum', JAR, jar('tool'), '<html>no sum</html>'],
    ['metadata with entities', METADATA, '<!DOCTYPE m [<!ENTITY a "b">]><metadata>&a;</metadata>', undefined],
    ['metadata without an end of its depth', METADATA, `<metadata>${'<a>'.repeat(100)}`, undefined],
    ['metadata of 9 MB', METADATA, metadata('org.example:tool', Array<string>(450_000).fill('1.0')), undefined],
    ['metadata that is cut off', METADATA, '<metadata><versioning>', undefined],
  ])('are neither served nor kept: %s', async (_name, path, body, stated) => {
    const { ask, serve, upstream, entries } = await open();
    serve('one', path, body, false);
    if (stated !== undefined) upstream.serve(`/one${path}.sha1`, { body: stated });
    const reply = await ask(path);
    expect([reply.status, reply.body.includes(body)]).toEqual([502, body === '']);
    expect(await entries.find('test', path.slice(1))).toBeUndefined();
  });

  it.each([401, 403, 429, 500, 503])('are not taken for absence: %d', async (status) => {
    const { ask, fail } = await open(undefined, ['one', 'two']);
    fail('one', JAR, status);
    fail('one', METADATA, status);
    expect((await ask(JAR)).status).not.toBe(404);
    expect((await ask(METADATA)).status).not.toBe(404);
  });

  it.each(['warn', 'generate', 'off'] as const)(
    'are served where sums are not to be verified: %s',
    async (verifyChecksums) => {
      const { ask, serve, upstream, text, asked } = await open(() => ({ verifyChecksums }));
      serve('one', JAR, jar('tool'), false);
      upstream.serve(`/one${JAR}.sha1`, { body: sum('sha1', 'other') });
      expect((await ask(JAR)).status).toBe(200);
      expect(asked().includes(`/one${JAR}.sha1`)).toBe(verifyChecksums === 'warn');
      expect(await text(`${JAR}.sha1`)).toBe(sum('sha1', verifyChecksums === 'off' ? 'other' : jar('tool')));
    },
  );
});

describe('several upstreams', () => {
  it('have their metadata merged', async () => {
    const { serve, text } = await open(undefined, ['one', 'two']);
    serve('one', METADATA, metadata('org.example:tool', ['1.0', '1.10']));
    serve('two', METADATA, metadata('org.example:tool', ['1.0', '1.9', '2.0-rc1']));
    const merged = await text(METADATA);
    expect(versionsIn(merged)).toEqual(['1.0', '1.9', '1.10', '2.0-rc1']);
    expect(merged).toContain('<latest>2.0-rc1</latest>');
    expect(await text(`${METADATA}.sha1`)).toBe(sum('sha1', merged));
  });

  it('list what the others have while one is down, and what it had', async () => {
    const { serve, fail, text, clock } = await open(undefined, ['one', 'two']);
    serve('one', METADATA, metadata('org.example:tool', ['1.0']));
    fail('two', METADATA, 503);
    expect(versionsIn(await text(METADATA))).toEqual(['1.0']);
    serve('two', METADATA, metadata('org.example:tool', ['2.0']));
    clock.advance(600_000);
    expect(versionsIn(await text(METADATA))).toEqual(['1.0', '2.0']);
    fail('two', METADATA, 503);
    clock.advance(600_000);
    expect(versionsIn(await text(METADATA))).toEqual(['1.0', '2.0']);
  });

  it('have every version that metadata lists', async () => {
    const { serve, ask, text } = await open(undefined, ['one', 'two']);
    const lists = { one: ['1.0', '1.2'], two: ['1.1', '1.2', '3.0'] };
    for (const [place, versions] of Object.entries(lists)) {
      serve(place, METADATA, metadata('org.example:tool', versions));
      for (const version of versions) serve(place, `${TOOL}/${version}/tool-${version}.jar`, jar(version));
    }
    for (const version of versionsIn(await text(METADATA)))
      expect((await ask(`${TOOL}/${version}/tool-${version}.jar`)).status).toBe(200);
  });

  it('are asked for the groups that are theirs, by whole segments', async () => {
    const options = (url: (place: string) => string): object => ({
      routing: [{ upstream: url('one'), groups: ['org.example'] }],
    });
    const { ask, serve, asked, text } = await open(options, ['one', 'two']);
    serve('two', JAR, jar('of somebody else'));
    serve('two', '/org/examples/tool/1.0/tool-1.0.jar', jar('examples'));
    serve('two', METADATA, metadata('org.example:tool', ['9.9']));
    expect((await ask(JAR)).status).toBe(404);
    expect((await ask(METADATA)).status).toBe(404);
    expect(asked().filter((path) => path.startsWith('/two'))).toEqual([]);
    expect(await text('/org/examples/tool/1.0/tool-1.0.jar')).toBe(jar('examples'));
    expect(asked().filter((path) => path.startsWith('/one/org/examples'))).toEqual([]);
  });

  it('are asked for releases or snapshots alone', async () => {
    const options = (url: (place: string) => string): object => ({
      routing: [
        { upstream: url('one'), snapshots: false },
        { upstream: url('two'), releases: false },
      ],
    });
    const { ask, asked } = await open(options, ['one', 'two']);
    await ask(JAR);
    await ask(`${TOOL}/2.0-SNAPSHOT/maven-metadata.xml`);
    await ask(`${TOOL}/2.0-SNAPSHOT/tool-2.0-20260102.030405-1.pom`);
    expect(new Set(asked().map((path) => `${path.slice(1, 4)} ${path.includes('SNAPSHOT')}`))).toEqual(
      new Set(['one false', 'two true']),
    );
  });

  it('refuses rules for an upstream that there is not', async () => {
    const options = (): object => ({ routing: [{ upstream: 'https://other.example.com/' }] });
    await expect(open(options)).rejects.toThrow('routing names https://other.example.com/');
  });
});

describe('policy', () => {
  const seen: unknown[] = [];
  const watching = (...needs: FactName[]): { policy: PolicyEngine } => ({
    policy: Object.assign(new FixedPolicy(), {
      needs: () => new Set(needs),
      evaluate: (input: { readonly facts?: unknown }) => {
        seen.push(input.facts);
        return { action: 'allow' as const, rules: [] };
      },
    }) as PolicyEngine,
  });

  it('is told the date of a POM, and licences of it or its parents', async () => {
    const { serve, ask } = await open(undefined, ['one'], watching('publishedAt', 'licenses'));
    const parent = '<parent><groupId>org.example</groupId><artifactId>parent</artifactId><version>1</version></parent>';
    const licence = '<licenses><license><name>The Apache Software License, Version 2.0</name></license></licenses>';
    serve('one', JAR, jar('tool'));
    serve('one', POM, pom('org.example:tool:1.0', parent));
    serve('one', '/org/example/parent/1/parent-1.pom', pom('org.example:parent:1', licence));
    seen.length = 0;
    expect((await ask(JAR)).status).toBe(200);
    expect(seen).toContainEqual(
      expect.objectContaining({ publishedAt: Date.UTC(2026, 0, 5), licenses: ['Apache-2.0'] }),
    );
  });

  it.each(['verify', 'warn', 'generate', 'off'])(
    'holds nothing for want of a date that the POM has, where sums are treated so: %s',
    async (verifyChecksums) => {
      const policy = new FixedPolicy([
        {
          id: 'undated',
          action: 'hold',
          reason: 'no date',
          matches: ({ coordinates, facts }) => coordinates.version !== undefined && facts?.publishedAt === undefined,
        },
      ]);
      const { serve, ask } = await open(() => ({ verifyChecksums }), ['one'], { policy });
      for (const path of [JAR, POM, `${JAR}.asc`])
        serve('one', path, path === POM ? pom('org.example:tool:1.0') : jar(''));
      for (const path of [JAR, POM, `${JAR}.asc`, `${JAR}.sha1`, `${POM}.sha1`])
        expect([path, (await ask(path)).status]).toEqual([path, 200]);
    },
  );

  it('is told the date of a POM that changes, which is compared with its sum', async () => {
    const { serve, ask } = await open(undefined, ['one'], watching('publishedAt', 'licenses'));
    const stem = `${TOOL}/2.0-SNAPSHOT/tool-2.0-SNAPSHOT`;
    serve('one', `${stem}.jar`, jar('tool'));
    serve('one', `${stem}.pom`, pom('org.example:tool:2.0-SNAPSHOT'));
    seen.length = 0;
    expect((await ask(`${stem}.jar`)).status).toBe(200);
    expect(seen).toContainEqual(expect.objectContaining({ publishedAt: Date.UTC(2026, 0, 5) }));
  });

  it('leaves no version out of metadata for its age, which that does not tell', async () => {
    const policy = new FixedPolicy([
      {
        id: 'young',
        action: 'hold',
        reason: 'young',
        matches: ({ coordinates, firstSeenAt }) => coordinates.version !== undefined && typeof firstSeenAt === 'number',
      },
    ]);
    const seen: string[] = [];
    const firstSeen = (_repository: string, { version = '' }): number => seen.push(version);
    const { serve, text } = await open(undefined, ['one'], { policy, firstSeen });
    serve('one', METADATA, metadata('org.example:tool', ['0.9', '1.0']));
    expect(versionsIn(await text(METADATA))).toEqual(['0.9', '1.0']);
  });

  it('gets no licences from parents that are their own', async () => {
    const { serve, ask } = await open(undefined, ['one'], watching('licenses'));
    const itself = '<parent><groupId>org.example</groupId><artifactId>tool</artifactId><version>1.0</version></parent>';
    serve('one', JAR, jar('tool'));
    serve('one', POM, pom('org.example:tool:1.0', itself));
    expect((await ask(JAR)).status).toBe(200);
  });

  it('reads no more than eight parents', async () => {
    const { serve, ask, asked } = await open(undefined, ['one'], watching('licenses'));
    const parentOf = (at: number): string =>
      `<parent><groupId>org.example</groupId><artifactId>p${at}</artifactId><version>1</version></parent>`;
    serve('one', JAR, jar('tool'));
    serve('one', POM, pom('org.example:tool:1.0', parentOf(1)));
    for (let at = 1; at < 20; at += 1)
      serve('one', `/org/example/p${at}/1/p${at}-1.pom`, pom(`org.example:p${at}:1`, parentOf(at + 1)));
    expect((await ask(JAR)).status).toBe(200);
    expect(asked().filter((path) => path.includes('/p'))).toHaveLength(8);
  });

  it('leaves refused versions out of metadata, and refuses all of their files', async () => {
    const policy = new FixedPolicy([
      {
        id: 'no',
        action: 'deny',
        reason: 'denied',
        matches: ({ coordinates }) => coordinates.name === 'org.example/tool' && coordinates.version === '1.0',
      },
    ]);
    const { serve, ask, text } = await open(undefined, ['one'], { policy });
    for (const path of [JAR, POM, `${JAR}.asc`])
      serve('one', path, path === POM ? pom('org.example:tool:1.0') : jar(''));
    serve('one', METADATA, metadata('org.example:tool', ['0.9', '1.0']));
    const listed = await text(METADATA);
    expect(versionsIn(listed)).toEqual(['0.9']);
    expect(listed).toContain('<release>0.9</release>');
    for (const path of [JAR, POM, `${JAR}.asc`, `${JAR}.sha1`, `${POM}.md5`])
      expect((await ask(path)).status).toBe(403);
  });
});
