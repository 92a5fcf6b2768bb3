import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RpmArchive } from '@entrepot/fixtures/rpm-archive';
import { outputOf } from '@entrepot/fixtures/run-command';
import { RpmReader } from '../clients/rpm-reader.mjs';
import { succeeded, TRUSTING, withAddresses, withLinuxScene } from '../servers/linux-scene.mjs';
import { race } from './linux-race.mjs';

/** @import { RpmClient } from '@entrepot/fixtures/rpm-clients' */
/** @import { Tally } from '../tally.mjs' */

/** Of `clients`: the rest reads by itself, since a dnf takes a second of a processor. */
const PROGRAMS = 2;

/**
 * @param {Tally} tally
 * @param {Record<string, (root: string) => RpmClient>} programs
 * @param {{ rounds: number, clients: number }} size
 */
export async function rpmRace(tally, programs, { rounds, clients }) {
  await withLinuxScene('rpm-race', async ({ folder, mirrored, serve }) => {
    const archive = await RpmArchive.create(join(folder, 'archive'));
    archive.retains = true;
    const version = (/** @type {number} */ number) => `1.${100_000 + number}`;
    await archive.add('hello', version(0));
    await archive.publish();
    const keyring = join(folder, 'archive.asc');
    await writeFile(keyring, archive.key.keyring);
    const signatures = { mode: 'enforce', keyrings: [keyring] };
    const repository = await mirrored('rpm', () => archive.files, { signatures, freshFor: '200ms' });
    const server = await serve({ own: repository }, TRUSTING);
    await withAddresses(server.url, async (urlOf) => {
      let count = 0;
      const urlOfNext = () => `${urlOf((count += 1))}/own`;
      const groups = [];
      for (const [name, open] of Object.entries(programs)) {
        const all = Array.from({ length: PROGRAMS }, (_, index) => open(join(folder, `${name}-${index}`)));
        for (const client of all) await client.open(urlOfNext(), keyring);
        succeeded(await /** @type {RpmClient} */ (all[0]).update());
        const share = Math.ceil(rounds / Object.keys(programs).length);
        groups.push({ name, rounds: share, clients: all.map((client) => () => ofProgram(client)) });
      }
      const readers = Array.from({ length: clients - groups.length * PROGRAMS }, () => new RpmReader(urlOfNext()));
      groups.push({ name: 'a reader', rounds: rounds * 5, clients: readers.map((reader) => () => ofReader(reader)) });
      const publish = async (/** @type {number} */ number) => {
        await archive.add('hello', version(number));
        await archive.publish();
      };
      await race(tally, 'rpm', { publish, groups });
    });
  });
}

/** @param {RpmClient} client */
async function ofProgram(client) {
  await client.forget();
  const result = await client.download('hello');
  const packages = await client.downloaded();
  const [bytes] = packages;
  return result.code === 0 && bytes !== undefined ? { bytes } : { problem: outputOf(result) };
}

/** @param {RpmReader} reader */
async function ofReader(reader) {
  try {
    const hello = (await reader.packages()).get('hello');
    if (hello === undefined) return { problem: 'no hello is listed' };
    return { bytes: await reader.file(hello) };
  } catch (error) {
    return { problem: String(error) };
  }
}
