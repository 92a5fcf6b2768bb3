import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DebArchive } from '@entrepot/fixtures/deb-archive';
import { outputOf } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { Apt } from '@entrepot/fixtures/apt';
import { DebMirror } from './deb-mirror.mjs';
import { EntrepotServer, freePort } from './entrepot.mjs';

/** @import { CommandResult } from '@entrepot/fixtures/run-command' */

/**
 * A signed archive, its mirrors, and the server before them.
 * @typedef {object} Scene
 * @property {string} folder empty, and of this scene alone
 * @property {DebArchive} archive
 * @property {DebMirror[]} mirrors
 * @property {EntrepotServer} server
 * @property {(name: string, options?: readonly string[], place?: string) => Promise<Apt>} apt a client in a root of its own
 */

/**
 * Sets up what `use` takes, and ends it afterwards. The server is not started.
 * @param {{ mirrors?: number, options?: object, freshFor?: string, more?: Record<string, unknown> | ((folder: string) => Record<string, unknown>), byHash?: boolean, isXz?: boolean }} settings
 * @param {(scene: Scene) => Promise<void>} use
 */
export async function withArchive(
  { mirrors: count = 1, options = {}, freshFor = '2m', more = {}, byHash = true, isXz = false },
  use,
) {
  await withScratch('deb', async (folder) => {
    const archive = Object.assign(await DebArchive.create(), { byHash, isXz });
    const keyring = join(folder, 'archive.asc');
    await writeFile(keyring, archive.keyring);
    const mirrors = await Promise.all(Array.from({ length: count }, () => new DebMirror(() => archive.files).start()));
    const definition = {
      type: 'deb',
      upstreams: mirrors.map(({ url }) => ({ url })),
      signatures: { keyrings: [keyring] },
      cache: { generations: { freshFor, staleAfter: '1m', negativeFor: '0s' } },
      ...options,
    };
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories: { debian: definition },
      more: typeof more === 'function' ? more(folder) : more,
    });
    const apt = async (
      /** @type {string} */ name,
      /** @type {readonly string[] | undefined} */ words,
      place = `${server.url}/debian`,
    ) => await new Apt(join(folder, name), words).open([`deb [signed-by=${keyring}] ${place} stable main`]);
    try {
      await use({ folder, archive, mirrors, server, apt });
    } finally {
      await server.kill();
      await Promise.all(mirrors.map((mirror) => mirror.stop()));
    }
  });
}

/** Checks that apt succeeded, and printed neither errors nor warnings. @param {CommandResult} result */
export function succeeded(result) {
  assert.equal(result.code, 0, outputOf(result));
  assert.doesNotMatch(result.stderr, /^[EW]: /m, outputOf(result));
}
