import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';
import { RpmArchive } from '@entrepot/fixtures/rpm-archive';
import { DnfRoot, ZypperRoot } from '@entrepot/fixtures/rpm-roots';
import { outputOf } from '@entrepot/fixtures/run-command';
import { isToolThere } from '@entrepot/fixtures/tools';
import { flipped, succeeded, withLinuxScene } from '../servers/linux-scene.mjs';

/** @import { Tally } from '../tally.mjs' */
/** @import { DebMirror } from '../servers/deb-mirror.mjs' */

const REPOMD = 'repodata/repomd.xml';

/** Clients of this machine. @returns {Promise<Record<string, typeof DnfRoot | typeof ZypperRoot>>} */
async function clientsHere() {
  return {
    ...((await isToolThere('dnf')) && { dnf: DnfRoot }),
    ...((await isToolThere('zypper')) && { zypper: ZypperRoot }),
  };
}

/**
 * Lists of mirrors: those that the server gives its clients, and those that it is told to find its mirrors in.
 * @param {Tally} tally
 */
export async function rpmMirrors(tally) {
  await withLinuxScene('rpm-mirrors', async ({ folder, mirrored, serve }) => {
    const archive = await RpmArchive.create(join(folder, 'archive'));
    archive.isSigned = false;
    await archive.add('hello', '1.0');
    await archive.add('world', '1.0', { size: 200_000 });
    await archive.publish();
    const clients = await clientsHere();
    const own = await mirrored('rpm', () => archive.files, { freshFor: '200ms' });
    const listed = await mirrored('rpm', () => archive.files, { mirrors: 3, freshFor: '200ms' });
    const [stale, lying] = /** @type {[DebMirror, DebMirror]} */ (listed.mirrors);
    const before = new Map(archive.files);
    stale.spoil = (path, bytes) => (path === REPOMD ? before.get(path) : bytes);
    lying.spoil = (_path, bytes) => flipped(bytes);
    const lists = await new Origin((request, response) => {
      const urls = listed.mirrors.map(({ url }) => url);
      const index = /** @type {Buffer} */ (archive.files.get(REPOMD));
      const isMetalink = request.url?.startsWith('/metalink?') === true;
      // Of a list without sums, the first mirror is the one to follow.
      const base = urls.slice(1).map((url) => `${url}/\n`);
      response.end(isMetalink ? metalink(urls, index) : base.join(''));
    }).start();
    try {
      const cache = { .../** @type {object} */ (listed.definition['cache']), mirrorList: { freshFor: '0s' } };
      const definition = { ...listed.definition, cache, upstreams: [{ url: lists.url }] };
      const found = (/** @type {string} */ list) => ({
        mirrors: [],
        definition: { ...definition, mirrorLists: { os: `${list}?repo=os&arch=noarch` } },
      });
      const server = await serve({ own, 'by-metalink': found('metalink'), 'by-mirrorlist': found('mirrorlist') });
      /** @type {[name: string, settings: Record<string, string>][]} */
      const ways = [
        ['metalink', { metalink: `${server.url}/own/metalink?repo=own&arch=noarch` }],
        ['mirrorlist', { mirrorlist: `${server.url}/own/mirrorlist?repo=own` }],
        ['a URL, whose mirrors are in a metalink', { baseurl: `${server.url}/by-metalink/os/` }],
        ['a URL, whose mirrors are in a mirrorlist', { baseurl: `${server.url}/by-mirrorlist/os/` }],
      ];
      const all = async (/** @type {string} */ version, /** @type {string} */ when) => {
        for (const [way, settings] of ways) {
          for (const [name, Root] of Object.entries(clients)) {
            await tally.check(`rpm: ${name} installs by ${way}${when}`, async () => {
              const place = join(folder, `${name} ${way}${when}`.replaceAll(/\W+/g, '-'));
              const client = await new Root(place).open({ ...settings, gpgcheck: '0', repo_gpgcheck: '0' });
              succeeded(await client.update());
              const result = succeeded(
                await (name === 'zypper'
                  ? client.run('install', '--allow-unsigned-rpm', 'world')
                  : client.install('world')),
              );
              assert.equal(await client.installed(), `world-${version}-1.noarch`, outputOf(result));
            });
          }
        }
      };
      await all('1.0', '');
      await archive.add('world', '2.0', { size: 200_000 });
      await archive.publish();
      // All clients have one address here, and who was told of a state gets that for a while.
      await server.stop();
      await server.start();
      await all('2.0', ', after a publication that one mirror does not have');
      await tally.check('rpm: a list of mirrors names the server alone', async () => {
        for (const path of ['metalink', 'mirrorlist']) {
          const text = (await get(`${server.url}/own/${path}`)).body.toString();
          const urls = text.match(/https?:\/\/[^\s<"]+/g) ?? [];
          const named = urls.filter((url) => !/metalinker\.org|fedorahosted\.org/.test(url));
          assert.deepEqual(named, [`${server.url}/own/${path === 'metalink' ? REPOMD : ''}`]);
        }
      });
      for (const mirror of [...own.mirrors, ...listed.mirrors]) await mirror.stop();
      await lists.stop();
      await all('2.0', ', without any mirror');
    } finally {
      await lists.stop();
    }
  });
}

/** A list as MirrorManager makes it, of one state. @param {readonly string[]} urls @param {Buffer} index */
function metalink(urls, index) {
  const resources = urls.map((url) => `<url protocol="http" type="http" preference="100">${url}/${REPOMD}</url>`);
  const sum = createHash('sha512').update(index).digest('hex');
  return `<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager">
<files><file name="repomd.xml"><mm0:timestamp>1</mm0:timestamp><size>${index.length}</size>
<verification><hash type="sha512">${sum}</hash></verification>
<resources maxconnections="1">${resources.join('')}</resources></file></files></metalink>
`;
}
