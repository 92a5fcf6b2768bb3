import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { hasMaven, Maven, mavenUpstream, provideMaven } from '@entrepot/fixtures/maven';
import { GROUP, PROJECTS, writeApplication } from '@entrepot/fixtures/maven-projects';
import { outputOf } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { CountingRelay } from '../servers/counting-relay.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { MavenProject } from '@entrepot/fixtures/maven-projects' */
/** @import { Tally } from '../tally.mjs' */

/** Versions besides that of the machine: they take the sums of files from headers. */
const NEWER = ['3.9.11', '4.0.0-rc-4'];
const PATIENCE = 1_800_000;

/** The sums of all jars and POMs of a local repository that came from a server. @param {string} folder */
async function sumsOf(folder) {
  /** @type {Map<string, string>} */
  const sums = new Map();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const isOwn = path.includes(`/${GROUP.replaceAll('.', '/')}/`);
    if (!entry.isFile() || isOwn || !/\.(?:jar|pom)$/.test(entry.name)) continue;
    sums.set(
      relative(folder, path),
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    );
  }
  return sums;
}

/**
 * Real builds through Entrepot from the repository that this machine's Maven is set up with: cold, then from an empty local repository with
 * an upstream that nothing listens at; and deployments to a hosted repository.
 * @param {Tally} tally
 */
export async function mavenReal(tally) {
  if (!(await hasMaven())) {
    note('no mvn on this machine: its scenario is left out');
    return;
  }
  const found = await mavenUpstream();
  if (found === undefined) {
    note('mvn of this machine names no repository: its scenario is left out');
    return;
  }
  await withScratch('maven-real', async (folder) => {
    const relay = new CountingRelay(found);
    await relay.start();
    const user = { username: 'ci', password: 'of-ci' };
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories: {
        maven: { type: 'maven', upstream: relay.url },
        own: {
          type: 'maven',
          kind: 'hosted',
          access: { anonymous: 'none', users: { ci: { password: '${env:CI_PASSWORD}', may: 'write' } } },
        },
      },
      env: { CI_PASSWORD: user.password },
    });
    const mirror = `${server.url}/maven`;
    const own = `${server.url}/own`;
    const deployTo = `-DaltDeploymentRepository=deployed::default::${own}`;
    try {
      await server.start({ timeout: 60_000 });
      /** @type {Map<string, string>} programs by their version */
      const programs = new Map([['of this machine', 'mvn']]);
      for (const version of NEWER) programs.set(version, await provideMaven(version, mirror));
      for (const project of PROJECTS) await builds({ tally, folder, server, relay, mirror, programs, project });
      await deploys({ tally, folder, project: join(folder, 'project'), mirror, own, user, deployTo });
    } finally {
      await server.kill();
      await relay.stop();
    }
  });
}

/**
 * Builds one project with each Maven while the upstream is there, then with each from an empty local repository while it is gone.
 * @param {{ tally: Tally, folder: string, server: EntrepotServer, relay: CountingRelay, mirror: string,
 *   programs: ReadonlyMap<string, string>, project: MavenProject }} scene
 */
async function builds({ tally, folder, server, relay, mirror, programs, project }) {
  const { name, goals, files, notWith, write } = project;
  const count = () => [...relay.requests.values()].reduce((sum, one) => sum + one, 0);
  /** @type {Map<string, Map<string, string>>} */
  const online = new Map();
  const build = async (/** @type {string} */ version, /** @type {string} */ place) => {
    const [home, sources] = [join(folder, `${place}-home`), join(folder, `${place}-sources`)];
    await write(sources, mirror);
    const maven = await new Maven(home, programs.get(version)).open({ mirror });
    const before = server.log.length;
    const result = await maven.run(sources, goals, PATIENCE);
    assert.equal(result.code, 0, outputOf(result));
    const sums = await sumsOf(maven.repository);
    await rm(home, { recursive: true });
    await rm(sources, { recursive: true });
    const asked = server.log.slice(before).match(/"path":"[^"]+"/g) ?? [];
    const seconds = (result.milliseconds / 1000).toFixed(1);
    return { sums, seconds, asked, ofSums: asked.filter((path) => /\.(?:jar|pom)\.(?:sha1|md5)"/.test(path)) };
  };
  for (const version of [...programs.keys()].filter((one) => one !== notWith))
    await tally.check(`Maven ${version}: builds ${name} through Entrepot`, async () => {
      const before = count();
      const { sums, seconds, asked, ofSums } = await build(version, `${name}-${version}`);
      online.set(version, sums);
      note(
        `Maven ${version}, ${name}: ${sums.size} files in ${seconds} s, ${asked.length} requests, ${ofSums.length} of them for sums, ${count() - before} to the upstream`,
      );
      assert.ok(sums.size >= files, `expected ${files} files at least, found ${sums.size}`);
      if (NEWER.includes(version)) assert.deepEqual(ofSums, []);
    });
  await relay.stop();
  for (const [version, sums] of online)
    await tally.check(
      `Maven ${version}: builds ${name} from an empty local repository with the upstream gone, from the same bytes`,
      async () => {
        const before = count();
        const offline = await build(version, `${name}-${version}-offline`);
        assert.deepEqual([...offline.sums].sort(), [...sums].sort());
        assert.equal(count(), before, 'upstream requests');
        note(`Maven ${version}, ${name}: with the upstream gone ${offline.seconds} s`);
      },
    );
  await relay.start();
}

/**
 * `mvn deploy` of releases and snapshots, and builds that use them.
 * @param {{ tally: Tally, folder: string, project: string, mirror: string, own: string, user: { username: string, password: string }, deployTo: string }} scene
 */
async function deploys({ tally, folder, project, mirror, own, user, deployTo }) {
  for (const version of ['1.0', '1.1-SNAPSHOT']) {
    await tally.check(`mvn: deploys ${version}, and resolves it elsewhere`, async () => {
      await writeApplication(project, version);
      const publisher = await new Maven(join(folder, 'publisher')).open({ mirror, server: user });
      const deployed = await publisher.run(project, ['deploy', deployTo], PATIENCE);
      assert.equal(deployed.code, 0, outputOf(deployed));
      const consumer = join(folder, `consumer-${version}`);
      await writeApplication(consumer, '9.0');
      const pom = await readFile(join(consumer, 'web/pom.xml'), 'utf8');
      // Only the other module is of the server, and its parent.
      await writeFile(
        join(consumer, 'web/pom.xml'),
        pom.replace(
          /<artifactId>model<\/artifactId><version>[^<]*/,
          `<artifactId>model</artifactId><version>${version}`,
        ),
      );
      const maven = await new Maven(join(folder, `consumer-${version}-home`)).open({
        mirror,
        repositories: [own],
        server: user,
      });
      const result = await maven.run(consumer, ['compile', '-pl', 'web', '-am'], PATIENCE);
      assert.equal(result.code, 0, outputOf(result));
      const files = await readdir(join(maven.repository, 'com/example/app/model', version));
      assert.ok(
        files.some((name) => name.endsWith('.jar')),
        files.join(' '),
      );
    });
  }
  await tally.check('mvn: deploys no other bytes of a release, and says why', async () => {
    await writeApplication(project, '1.0');
    await writeFile(join(project, 'model/src/main/java/com/example/More.java'), 'package com.example; class More {}\n');
    const publisher = await new Maven(join(folder, 'publisher')).open({ mirror, server: user });
    const again = await publisher.run(project, ['deploy', deployTo], PATIENCE);
    assert.notEqual(again.code, 0);
    assert.match(again.stdout, /409/, outputOf(again));
  });
}
