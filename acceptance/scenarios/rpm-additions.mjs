import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { RpmArchive } from '@entrepot/fixtures/rpm-archive';
import { DnfRoot, ZypperRoot } from '@entrepot/fixtures/rpm-roots';
import { outputOf } from '@entrepot/fixtures/run-command';
import { succeeded } from '../servers/linux-scene.mjs';
import { COMPS, MODULES, UPDATES } from '../servers/rpm-metadata.mjs';

/** @import { Tally } from '../tally.mjs' */

/**
 * Groups, advisories and modules that are put beside packages, as dnf and zypper show them.
 * @param {Tally} tally
 * @param {{ folder: string, url: string }} scene `url` of a tree that anybody may write to
 */
export async function rpmAdditions(tally, { folder, url }) {
  const archive = await RpmArchive.create(join(folder, 'additions'));
  const put = async (/** @type {string} */ path, /** @type {Buffer | string} */ body) => {
    const answer = await fetch(`${url}/${path}`, { method: 'PUT', body });
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.text()}`);
  };
  const putHello = async (/** @type {string} */ version) => {
    const { bytes } = await archive.add('hello', version);
    await put(`Packages/hello-${version}-1.noarch.rpm`, bytes);
  };
  const settings = { baseurl: url, gpgcheck: '0', repo_gpgcheck: '0' };
  const dnf = await new DnfRoot(join(folder, 'dnf-additions')).open(settings);
  const asked = async (/** @type {string[]} */ ...words) => succeeded(await dnf.run(...words)).stdout;
  await tally.check('hosted rpm: dnf finds groups, advisories and modules that were put', async () => {
    await putHello('1.0');
    succeeded(await dnf.update());
    succeeded(await dnf.install('hello'));
    await putHello('1.1');
    for (const [name, text] of Object.entries({
      'comps.xml': COMPS,
      'updateinfo.xml': UPDATES,
      'modules.yaml': MODULES,
    }))
      await put(`repodata/${name}`, text);
    succeeded(await dnf.update());
    assert.match(await asked('group', 'list'), /^ +own$/m);
    assert.match(await asked('group', 'info', 'own'), /hello/);
    assert.match(await asked('updateinfo', 'list'), /^OWN-2026-1 .*hello-1\.1-1\.noarch$/m);
    assert.match(await asked('module', 'list'), /^own +1 /m);
  });
  await tally.check('hosted rpm: zypper finds an advisory that was put', async () => {
    const zypper = await new ZypperRoot(join(folder, 'zypper-additions')).open(settings);
    succeeded(await zypper.update());
    const result = succeeded(await zypper.run('list-patches', '--all'));
    assert.match(result.stdout, /OWN-2026-1/, outputOf(result));
  });
  await tally.check('hosted rpm: dnf finds none that was taken away, and packages as before', async () => {
    assert.equal((await get(`${url}/repodata/comps.xml`, { method: 'DELETE' })).status, 204);
    succeeded(await dnf.update());
    assert.match(outputOf(await dnf.run('group', 'list')), /No group data available/);
    assert.match(await asked('updateinfo', 'list'), /OWN-2026-1/);
    succeeded(await dnf.install('hello'));
    assert.equal(await dnf.installed(), 'hello-1.1-1.noarch');
  });
}
