import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RpmArchive } from '@entrepot/fixtures/rpm-archive';
import { outputOf } from '@entrepot/fixtures/run-command';
import { RpmReader } from '../clients/rpm-reader.mjs';
import { flipped, succeeded } from '../servers/linux-scene.mjs';
import { changed, poisoned } from './linux-poison.mjs';

/** @import { RpmClient } from '@entrepot/fixtures/rpm-clients' */
/** @import { Tally } from '../tally.mjs' */

/** @param {Tally} tally @param {Record<string, (root: string) => RpmClient>} programs */
export async function rpmPoison(tally, programs) {
  /** @type {import('./linux-poison.mjs').Poisonable} */
  const format = {
    name: 'rpm',
    create: async (folder) => await RpmArchive.create(folder),
    optionsFor: async (archive, folder) => ({
      signatures: { mode: 'enforce', keyrings: [await keyringOf(/** @type {RpmArchive} */ (archive), folder)] },
    }),
    clients: {
      reader: async (url) => {
        const reader = new RpmReader(url);
        const hello = (await reader.packages()).get('hello');
        assert.ok(hello !== undefined);
        return await reader.file(hello);
      },
      ...Object.fromEntries(
        Object.entries(programs).map(([program, open]) => [
          program,
          async (/** @type {string} */ url, /** @type {string} */ folder, /** @type {unknown} */ archive) => {
            const keyring = await keyringOf(/** @type {RpmArchive} */ (archive), join(folder, '..'));
            const client = await open(folder).open(url, keyring);
            const result = succeeded(await client.download('hello'));
            const [bytes] = await client.downloaded();
            assert.ok(bytes !== undefined, outputOf(result));
            return bytes;
          },
        ]),
      ),
    },
  };
  const isList = (/** @type {string} */ path) => path.startsWith('repodata/') && !path.includes('repomd.xml');
  await poisoned(tally, format, {
    'a wrong byte in a list': (path, bytes) => (isList(path) ? flipped(bytes) : bytes),
    'a wrong byte in repomd.xml': (path, bytes) => (path.endsWith('/repomd.xml') ? flipped(bytes, 300) : bytes),
    'a wrong byte in a signature': (path, bytes) => (path.endsWith('.asc') ? flipped(bytes, 200) : bytes),
    'a wrong byte in a package': (path, bytes) => (path.endsWith('.rpm') ? flipped(bytes) : bytes),
    'half of a package': (path, bytes) => (path.endsWith('.rpm') ? bytes.subarray(0, bytes.length / 2) : bytes),
    'no signature': (path, bytes) => (path.endsWith('.asc') ? undefined : bytes),
    'no lists': (path, bytes) => (isList(path) ? undefined : bytes),
    'no packages': (path, bytes) => (path.endsWith('.rpm') ? undefined : bytes),
  });
  await changed(tally, format, 'an older repomd.xml', {
    isKnown: true,
    served: 'new',
    spoils: (old) => [(path, bytes) => old.get(path) ?? bytes, (path, bytes) => old.get(path) ?? bytes],
  });
  await changed(tally, format, 'a new repomd.xml without its lists', {
    served: 'old',
    spoils: (old, next) => {
      const early = (/** @type {string} */ path, /** @type {Buffer} */ bytes) =>
        isList(path) && next.has(path) && !old.has(path) ? undefined : bytes;
      return [early, early];
    },
  });
  await changed(tally, format, 'the signature of the last repomd.xml', {
    served: 'old',
    spoils: (old) => {
      const late = (/** @type {string} */ path, /** @type {Buffer} */ bytes) =>
        path.endsWith('.asc') ? old.get(path) : bytes;
      return [late, late];
    },
  });
}

/** @param {RpmArchive} archive @param {string} folder */
async function keyringOf(archive, folder) {
  const path = join(folder, 'archive.asc');
  await writeFile(path, archive.key.keyring);
  return path;
}
