import { strict as assert } from 'node:assert';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf } from '@entrepot/fixtures/run-command';
import { zip } from '@entrepot/fixtures/zip';
import { gradleVersion, runGradle } from '../clients/gradle.mjs';
import { note } from '../tally.mjs';

/** @import { Origin } from '@entrepot/fixtures/origin' */
/** @import { EntrepotServer } from '../servers/entrepot.mjs' */
/** @import { Tally } from '../tally.mjs' */

const PUBLISHED = 'com.example.lib:made:5.0';

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
  const credentials = `credentials { username '${user.username}'; password '${user.password}' }`;
  const own = `maven { url '${server.url}/own'; ${credentials} }`;
  const publish = async (/** @type {string} */ name, /** @type {Buffer} */ jar) => {
    const [groupId, artifactId, version] = PUBLISHED.split(':');
    return await runGradle(join(folder, name), {
      build: `apply plugin: 'maven-publish'
publishing {
  publications { made(MavenPublication) { groupId '${groupId}'; artifactId '${artifactId}'; version '${version}'; artifact file('made.jar') } }
  repositories { ${own} }
}
`,
      files: { 'made.jar': jar },
      tasks: ['publish'],
    });
  };
  const jar = zip([{ name: 'made.txt', content: 'made' }]);
  await tally.check(`Gradle ${version}: publishes a version, which it and others get`, async () => {
    const published = await publish('gradle-publish', jar);
    assert.equal(published.code, 0, outputOf(published));
    const { out } = await resolve('gradle-consumer', PUBLISHED, own);
    assert.deepEqual(await readFile(join(out, 'made-5.0.jar')), jar);
  });
  await tally.check(`Gradle ${version}: publishes no other bytes of it`, async () => {
    const again = await publish('gradle-republish', zip([{ name: 'made.txt', content: 'other' }]));
    assert.notEqual(again.code, 0);
    assert.match(again.stdout + again.stderr, /409/, outputOf(again));
  });
}
