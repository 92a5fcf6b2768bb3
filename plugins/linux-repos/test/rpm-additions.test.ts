import { gunzipSync } from 'node:zlib';
import type { TestRepository } from '@entrepot/core/testing';
import { describe, expect, it } from 'vitest';
import { checkAddition, type AdditionName } from '../src/rpm/hosted/additions.js';
import { archiveKey, textOf } from './hosted-fixtures.js';
import { contentOf } from './rpm-fixtures.js';
import { hostedRpm, listedFiles, putRpm, repomdOf } from './rpm-hosted-fixtures.js';

const COMPS = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps><group><id>own</id></group></comps>
`;
const UPDATES = '<updates><update type="security"><id>OWN-1</id></update></updates>';
const MODULES = '---\ndocument: modulemd\nversion: 2\ndata: { name: own, stream: "1" }\n...\n';
const ALL: readonly (readonly [AdditionName, string, string])[] = [
  ['comps.xml', 'group', COMPS],
  ['updateinfo.xml', 'updateinfo', UPDATES],
  ['modules.yaml', 'modules', MODULES],
];

const put = async ({ ask }: TestRepository, name: string, body: string, tree = '/el9') =>
  await ask({ method: 'PUT', path: `${tree}/repodata/${name}`, body: Buffer.from(body) });

/** The metadata of a tree besides its lists, by type, as repomd.xml leads to it. */
async function additionsOf(repository: TestRepository, tree = '/el9'): Promise<Record<string, string>> {
  const { items } = await repomdOf(repository, tree);
  const found: Record<string, string> = {};
  for (const { type, path } of items.slice(3))
    found[type] = gunzipSync((await repository.ask(`${tree}/${path}`)).body).toString();
  return found;
}

describe('groups, advisories and modules of a hosted tree', () => {
  it('are put, found, listed, replaced and removed, and packages go on beside them', async () => {
    const repository = await hostedRpm();
    for (const [name, type, text] of ALL) {
      expect((await put(repository, name, text)).status).toBe(201);
      expect((await additionsOf(repository))[type]).toBe(text);
      expect(await textOf(repository, `/el9/repodata/${name}`)).toBe(text);
    }
    await putRpm(repository, { version: '1' });
    expect(Object.keys(await additionsOf(repository))).toEqual(['group', 'updateinfo', 'modules']);
    expect(await listedFiles(repository)).toHaveLength(1);
    const earlier = (await repomdOf(repository)).items.find(({ type }) => type === 'updateinfo')?.path ?? '';
    expect((await put(repository, 'updateinfo.xml', UPDATES.replace('OWN-1', 'OWN-2'))).status).toBe(200);
    expect((await additionsOf(repository))['updateinfo']).toContain('OWN-2');
    // Who has the repomd.xml of before finds what that leads to.
    expect((await repository.ask(`/el9/${earlier}`)).status).toBe(200);
    expect((await repository.ask({ method: 'DELETE', path: '/el9/repodata/comps.xml' })).status).toBe(204);
    expect(Object.keys(await additionsOf(repository))).toEqual(['updateinfo', 'modules']);
    for (const method of ['DELETE', 'GET'])
      expect((await repository.ask({ method, path: '/el9/repodata/comps.xml' })).status).toBe(404);
    expect(await additionsOf(repository, '/el9')).not.toHaveProperty('group');
    expect((await repository.ask('/el8/repodata/repomd.xml')).status).toBe(404);
  });

  it('are signed with the rest, and gone when nobody can need them', async () => {
    const { privateKey } = await archiveKey();
    const repository = await hostedRpm({ signing: { key: privateKey }, keepGenerations: 1, leaseFor: '1m' });
    await put(repository, 'comps.xml', COMPS, '');
    const [path = ''] = (await repomdOf(repository, '')).items.flatMap((item) =>
      item.type === 'group' ? item.path : [],
    );
    expect((await repository.ask('/repodata/repomd.xml.asc')).status).toBe(200);
    await put(repository, 'comps.xml', COMPS.replace('own', 'other'), '');
    expect((await repository.ask(`/${path}`)).status).toBe(200);
    repository.clock.advance(120_000);
    await putRpm(repository, { version: '2' }, '');
    await putRpm(repository, { version: '3' }, '');
    expect((await repository.ask(`/${path}`)).status).toBe(404);
    expect((await additionsOf(repository, ''))['group']).toContain('other');
  });

  it.each<readonly [AdditionName, string, string]>([
    ['comps.xml', UPDATES, 'expected an element "comps", found "updates"'],
    ['comps.xml', '<comps>', 'comps.xml'],
    ['comps.xml', '', 'comps.xml'],
    ['comps.xml', '<!DOCTYPE comps [<!ENTITY a "b">]><comps>&a;</comps>', 'document type'],
    ['updateinfo.xml', 'no xml', 'updateinfo.xml'],
    ['modules.yaml', 'document: other\n', 'document: modulemd'],
    ['modules.yaml', '\u001f', 'document: modulemd'],
  ])('are refused where they are something else: %s %j', async (name, text, problem) => {
    const repository = await hostedRpm();
    const { status, body } = await put(repository, name, text);
    expect([status, body.toString()]).toEqual([400, expect.stringContaining(problem)]);
    expect((await repository.ask('/el9/repodata/repomd.xml')).status).toBe(404);
  });

  it('are read in pieces of any size', async () => {
    for (const [name, , text] of ALL) await checkAddition(name, contentOf(text, 7));
    await checkAddition('comps.xml', contentOf(COMPS.replace('own', 'own'.repeat(5000)), 7));
    await expect(checkAddition('modules.yaml', contentOf(Buffer.from([0xff, 0xfe]), 1))).rejects.toThrow('UTF-8');
  });
});
