import { anonymousAccess } from '@entrepot/core';
import { openTestRepository, type TestReply } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import plugin from '../src/index.js';
import { jar, metadata, pom, sum } from './fixtures.js';

const TOOL = '/org/example/tool';

async function open(options: object = {}) {
  const definition = { kind: 'hosted', access: anonymousAccess(['read', 'write']) } as const;
  const repository = await openTestRepository({ plugin, options, definition });
  onTestFinished(() => repository.close());
  const put = (path: string, body: string): Promise<TestReply> => repository.ask({ method: 'PUT', path, body });
  const text = async (path: string): Promise<string> => (await repository.ask(path)).body.toString();
  return { ...repository, put, text };
}

const versionsIn = (body: string): string[] => [...body.matchAll(/<version>([^<]+)</g)].map(([, one]) => one as string);

describe('a deployed release', () => {
  it('is read back with its sums, and listed', async () => {
    const { ask, put, text } = await open();
    const [path, project] = [`${TOOL}/1.0/tool-1.0.jar`, `${TOOL}/1.0/tool-1.0.pom`];
    expect((await ask(`${TOOL}/maven-metadata.xml`)).status).toBe(404);
    expect((await put(path, jar('tool'))).status).toBe(201);
    expect((await put(`${path}.sha1`, `${sum('sha1', jar('tool'))}`)).status).toBe(201);
    expect((await put(project, pom('org.example:tool:1.0'))).status).toBe(201);
    expect((await put(`${path}.asc`, 'a signature')).status).toBe(201);
    expect((await put(`${TOOL}/maven-metadata.xml`, metadata('org.example:tool', ['0.1']))).status).toBe(201);
    expect((await put(`${TOOL}/maven-metadata.xml.sha1`, 'whatever it is')).status).toBe(201);
    expect((await ask(path)).headers['x-checksum-sha1']).toBe(sum('sha1', jar('tool')));
    for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512'])
      expect(await text(`${path}.${algorithm}`)).toBe(sum(algorithm, jar('tool')));
    expect(await text(`${path}.asc`)).toBe('a signature');
    const listed = await text(`${TOOL}/maven-metadata.xml`);
    expect(versionsIn(listed)).toEqual(['1.0']);
    expect(await text(`${TOOL}/maven-metadata.xml.md5`)).toBe(sum('md5', listed));
  });

  it('is taken again as it is, and refused with other bytes', async () => {
    const { put, text } = await open();
    const path = `${TOOL}/1.0/tool-1.0.jar`;
    await put(path, jar('tool'));
    expect((await put(path, jar('tool'))).status).toBe(200);
    expect((await put(path, jar('other'))).status).toBe(409);
    expect(await text(path)).toBe(jar('tool'));
  });

  it('may be replaced where that is configured', async () => {
    const { put, text } = await open({ redeploy: true });
    const path = `${TOOL}/1.0/tool-1.0.jar`;
    for (const bytes of ['tool', 'other']) await put(path, jar(bytes));
    expect(await text(path)).toBe(jar('other'));
  });

  it('loses nothing when twenty are deployed at once', async () => {
    const { put, text } = await open();
    const versions = Array.from({ length: 20 }, (_, index) => `1.${index}`);
    await Promise.all(
      versions.map(async (version) => {
        await put(`${TOOL}/${version}/tool-${version}.jar`, jar(version));
        await put(`${TOOL}/${version}/tool-${version}.pom`, pom(`org.example:tool:${version}`));
        await put(`${TOOL}/maven-metadata.xml`, metadata('org.example:tool', [version]));
      }),
    );
    expect(versionsIn(await text(`${TOOL}/maven-metadata.xml`))).toEqual(versions);
  });
});

describe('refused uploads', () => {
  it.each([
    ['a sum of other bytes', `${TOOL}/1.0/tool-1.0.jar.sha1`, sum('sha1', 'other')],
    ['what is no sum', `${TOOL}/1.0/tool-1.0.jar.sha256`, 'no sum'],
    ['a sum before its file', `${TOOL}/1.0/tool-1.0.zip.sha1`, sum('sha1', '')],
    ['a POM of another version', `${TOOL}/1.1/tool-1.1.pom`, pom('org.example:tool:1.0')],
    ['a POM of another group', `${TOOL}/1.1/tool-1.1.pom`, pom('org.examples:tool:1.1')],
    ['a POM with entities', `${TOOL}/1.1/tool-1.1.pom`, '<!DOCTYPE a [<!ENTITY b "c">]><project>&b;</project>'],
    ['a jar that is a page', `${TOOL}/1.1/tool-1.1.jar`, '<html></html>'],
    ['an empty jar', `${TOOL}/1.1/tool-1.1.jar`, ''],
    ['a file at no place of a version', `${TOOL}/1.1/other-1.1.jar`, jar('')],
    ['a file without a group', '/tool/1.1/tool-1.1.jar', jar('')],
  ])('are %s', async (_name, path, body) => {
    const { put, ask } = await open();
    await put(`${TOOL}/1.0/tool-1.0.jar`, jar('tool'));
    expect((await put(path, body)).status).toBe(400);
    if (!path.includes('.jar.')) expect((await ask(path)).status).toBe(404);
  });
});

describe('deployed snapshots', () => {
  it('are listed by their newest builds', async () => {
    const { put, text } = await open();
    const folder = `${TOOL}/2.0-SNAPSHOT`;
    for (const build of ['20260102.030405-1', '20260103.030405-2']) {
      await put(`${folder}/tool-2.0-${build}.jar`, jar(build));
      await put(`${folder}/tool-2.0-${build}.pom`, pom('org.example:tool:2.0-SNAPSHOT'));
      if (build.endsWith('1')) await put(`${folder}/tool-2.0-${build}-sources.jar`, jar(build));
    }
    const listed = await text(`${folder}/maven-metadata.xml`);
    expect(listed).toContain('<timestamp>20260103.030405</timestamp>');
    expect(listed).toContain('<buildNumber>2</buildNumber>');
    expect([...listed.matchAll(/<value>([^<]+)</g)].map(([, value]) => value).sort()).toEqual([
      '2.0-20260102.030405-1',
      '2.0-20260103.030405-2',
      '2.0-20260103.030405-2',
    ]);
    expect(versionsIn(await text(`${TOOL}/maven-metadata.xml`))).toEqual(['2.0-SNAPSHOT']);
    expect((await put(`${folder}/tool-2.0-20260102.030405-1.jar`, jar('other'))).status).toBe(409);
  });

  it('are replaced where their name has no timestamp', async () => {
    const { put, text } = await open();
    const path = `${TOOL}/2.0-SNAPSHOT/tool-2.0-SNAPSHOT.jar`;
    for (const bytes of ['one', 'two']) {
      expect((await put(path, jar(bytes))).status).toBeLessThan(300);
      expect(await text(path)).toBe(jar(bytes));
      expect(await text(`${path}.sha1`)).toBe(sum('sha1', jar(bytes)));
    }
  });
});

it('lists the plugins of a group', async () => {
  const { put, text } = await open();
  const [path, more] = [
    '/org/example/hello-maven-plugin/1.0/hello-maven-plugin-1.0.pom',
    '<packaging>maven-plugin</packaging>',
  ];
  await put(path, pom('org.example:hello-maven-plugin:1.0', more));
  expect(await text('/org/example/maven-metadata.xml')).toContain('<prefix>hello</prefix>');
});
