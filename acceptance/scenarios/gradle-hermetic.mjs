import { strict as assert } from 'node:assert';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf } from '@entrepot/fixtures/run-command';
import { gradleVersion, runGradle } from '../clients/gradle.mjs';
import { note } from '../tally.mjs';

/** @import { Origin } from '@entrepot/fixtures/origin' */
/** @import { EntrepotServer } from '../servers/entrepot.mjs' */
/** @import { Tally } from '../tally.mjs' */

/**
 * Real Gradle against the upstream of the scenario for Maven: from an empty store, with the upstream gone, and against a hosted repository.
 * @param {Tally} tally
 * @param {{ folder: string, server: EntrepotServer, upstream: Origin, libraries: ReadonlyMap<string, Buffer>,
 *   user: { username: string, password: string } }} scene `libraries`: jars that `com.example.lib:lib0:1.0` needs, by their paths
 */
export async function gradleHermetic(tally, { folder, server, upstream, libraries, user }) {
  const version = await gradleVersion();
  if (version === undefined) {
    note('no gradle on this machine: its scenario is left out');
    return;
  }
  const resolve = async (
    /** @type {string} */ name,
    /** @type {string} */ wanted,
    /** @type {string} */ repository,
  ) => {
    const place = join(folder, name);
    const before = server.log.length;
    const result = await runGradle(place, {
      build: `repositories { ${repository} }
configurations { needed }
dependencies { needed '${wanted}' }
task fetch(type: Copy) { from configurations.needed; into 'out' }
`,
      tasks: ['fetch'],
    });
    assert.equal(result.code, 0, outputOf(result));
    const asked = server.log.slice(before).match(/"path":"[^"]+"/g) ?? [];
    return { out: join(place, 'out'), asked };
  };
  const proxy = `maven { url '${server.url}/gradle' }`;
  const check = async (/** @type {string} */ out) => {
    assert.equal((await readdir(out)).length, libraries.size);
    for (const [path, bytes] of libraries)
      assert.deepEqual(await readFile(join(out, path.slice(path.lastIndexOf('/') + 1))), bytes, path);
  };
  await tally.check(`Gradle ${version}: fetches a tree of artifacts, and asks for no sums of them`, async () => {
    const { out, asked } = await resolve('gradle-cold', 'com.example.lib:lib0:1.0', proxy);
    await check(out);
    const sums = asked.filter((path) => /\.(?:sha1|md5|sha256|sha512)"/.test(path));
    note(
      `Gradle ${version}: ${asked.length} requests for ${2 * libraries.size} files, ${sums.length} of them for sums`,
    );
    assert.deepEqual(sums, []);
  });
  await tally.check(`Gradle ${version}: fetches it with an empty home and the upstream gone`, async () => {
    await upstream.stop();
    try {
      const before = upstream.requests.size;
      const { out } = await resolve('gradle-offline', 'com.example.lib:lib0:1.0', proxy);
      await check(out);
      assert.equal(upstream.requests.size, before);
    } finally {
      await upstream.start();
    }
  });
  // Debian's Gradle has no transport to publish with: its uploads are imitated in the scenario for Maven.
  await tally.check(`Gradle ${version}: fetches what was deployed, for those who may`, async () => {
    const credentials = `credentials { username '${user.username}'; password '${user.password}' }`;
    const own = `maven { url '${server.url}/own'; ${credentials} }`;
    const { out } = await resolve('gradle-consumer', 'com.example.lib:tool:3.0', own);
    assert.deepEqual(await readdir(out), ['tool-3.0.jar']);
  });
}
