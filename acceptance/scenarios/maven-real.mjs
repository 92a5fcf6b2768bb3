import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { hasMaven, Maven } from '@entrepot/fixtures/maven';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { CountingRelay } from '../servers/counting-relay.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

const GROUP = 'com.example.app';
const MODULES = ['model', 'web'];
/** Versions that take the sums of files from headers. */
const NEWER = ['3.9.11', '4.0.0-rc-4'];

/** A build of two modules with what a web application needs. @param {string} folder @param {string} version */
async function writeProject(folder, version) {
  const head = `<?xml version="1.0" encoding="UTF-8"?>\n<project><modelVersion>4.0.0</modelVersion>`;
  const parent = `<parent><groupId>${GROUP}</groupId><artifactId>parent</artifactId><version>${version}</version></parent>`;
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, 'pom.xml'),
    `${head}<groupId>${GROUP}</groupId><artifactId>parent</artifactId><version>${version}</version><packaging>pom</packaging>
<modules>${MODULES.map((name) => `<module>${name}</module>`).join('')}</modules>
<properties><maven.compiler.source>11</maven.compiler.source><maven.compiler.target>11</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<dependencyManagement><dependencies><dependency><groupId>org.springframework.boot</groupId><artifactId>spring-boot-dependencies</artifactId>
<version>2.7.18</version><type>pom</type><scope>import</scope></dependency></dependencies></dependencyManagement></project>`,
  );
  for (const name of MODULES) {
    const needs =
      name === 'web'
        ? `<dependency><groupId>${GROUP}</groupId><artifactId>model</artifactId><version>${version}</version></dependency>
<dependency><groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter-web</artifactId></dependency>
<dependency><groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter-data-jpa</artifactId></dependency>`
        : `<dependency><groupId>org.apache.commons</groupId><artifactId>commons-lang3</artifactId></dependency>`;
    const place = join(folder, name, 'src/main/java/com/example');
    await mkdir(place, { recursive: true });
    await writeFile(
      join(folder, name, 'pom.xml'),
      `${head}${parent}<artifactId>${name}</artifactId><dependencies>${needs}</dependencies></project>`,
    );
    const title = `${name[0]?.toUpperCase()}${name.slice(1)}`;
    const uses = name === 'web' ? 'org.springframework.boot.SpringApplication' : 'org.apache.commons.lang3.StringUtils';
    await writeFile(
      join(place, `${title}.java`),
      `package com.example;\npublic class ${title} { public Class<?> uses = ${uses}.class; }\n`,
    );
  }
}

/** The sums of all jars and POMs of a local repository that came from a server. @param {string} folder */
async function sumsOf(folder) {
  /** @type {Map<string, string>} */
  const sums = new Map();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const isOwn = path.includes('/com/example/app/');
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
 * A real build through Entrepot from the repository that this machine's Maven is set up with: cold, then from an empty local repository with
 * an upstream that nothing listens at; and deployments to a hosted repository.
 * @param {Tally} tally
 */
export async function mavenReal(tally) {
  if (!(await hasMaven())) {
    note('no mvn on this machine: its scenario is left out');
    return;
  }
  const { discoverUpstreams } = await import('../../plugins/maven/dist/discover.js');
  const [found] = await discoverUpstreams({ useClientCredentials: false });
  if (found === undefined) {
    note('mvn of this machine names no repository: its scenario is left out');
    return;
  }
  await withScratch('maven-real', async (folder) => {
    const relay = new CountingRelay(found.url);
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
    const project = join(folder, 'project');
    await writeProject(project, '1.0');
    const deployTo = `-DaltDeploymentRepository=deployed::default::${own}`;
    try {
      await server.start();
      /** @type {Map<string, string>} */
      let cold = new Map();
      await tally.check('mvn: builds a project of two modules through Entrepot', async () => {
        const maven = await new Maven(join(folder, 'cold')).open({ mirror });
        const result = await maven.run(project, ['package'], 900_000);
        assert.equal(result.code, 0, outputOf(result));
        cold = await sumsOf(maven.repository);
        const requests = [...relay.requests.values()].reduce((sum, count) => sum + count, 0);
        note(`mvn: ${cold.size} files, ${requests} upstream requests, ${(result.milliseconds / 1000).toFixed(1)} s`);
        assert.ok(cold.size > 300, `expected hundreds of files, found ${cold.size}`);
      });
      await tally.check(
        'mvn: builds it from an empty local repository with the upstream gone, from the same bytes',
        async () => {
          await relay.stop();
          const before = relay.requests.size;
          for (const name of MODULES) await rm(join(project, name, 'target'), { recursive: true, force: true });
          const maven = await new Maven(join(folder, 'offline')).open({ mirror });
          const result = await maven.run(project, ['package'], 900_000);
          assert.equal(result.code, 0, outputOf(result));
          const offline = await sumsOf(maven.repository);
          assert.deepEqual([...offline].sort(), [...cold].sort());
          assert.equal(relay.requests.size, before, 'upstream requests');
          note(`mvn: with the upstream gone ${(result.milliseconds / 1000).toFixed(1)} s`);
        },
      );
      await relay.start();
      for (const version of NEWER) {
        await tally.check(`Maven ${version}: builds it, and asks for no sums of files`, async () => {
          const program = await installed(mirror, version, join(folder, 'programs'));
          const maven = await new Maven(join(folder, `home-${version}`), program).open({ mirror });
          for (const name of MODULES) await rm(join(project, name, 'target'), { recursive: true, force: true });
          const before = server.log.length;
          const result = await maven.run(project, ['package'], 900_000);
          assert.equal(result.code, 0, outputOf(result));
          const asked = server.log.slice(before).match(/"path":"[^"]+"/g) ?? [];
          const sums = asked.filter((path) => /\.(?:jar|pom)\.(?:sha1|md5)"/.test(path));
          note(`Maven ${version}: ${asked.length} requests, ${sums.length} of them for sums`);
          assert.deepEqual(sums, []);
        });
      }
      await deploys({ tally, folder, project, mirror, own, user, deployTo });
    } finally {
      await server.kill();
      await relay.stop();
    }
  });
}

/** Fetches a distribution of Maven through Entrepot, and unpacks it. @param {string} mirror @param {string} version @param {string} folder */
async function installed(mirror, version, folder) {
  await mkdir(folder, { recursive: true });
  const name = `apache-maven-${version}`;
  const reply = await fetch(`${mirror}/org/apache/maven/apache-maven/${version}/${name}-bin.tar.gz`);
  assert.equal(reply.status, 200);
  const archive = join(folder, `${name}.tar.gz`);
  await writeFile(archive, Buffer.from(await reply.arrayBuffer()));
  const unpacked = await runCommand(['tar', '-xzf', archive], { cwd: folder, env: process.env, timeout: 60_000 });
  assert.equal(unpacked.code, 0, outputOf(unpacked));
  return join(folder, name, 'bin/mvn');
}

/**
 * `mvn deploy` of releases and snapshots, and builds that use them.
 * @param {{ tally: Tally, folder: string, project: string, mirror: string, own: string, user: { username: string, password: string }, deployTo: string }} scene
 */
async function deploys({ tally, folder, project, mirror, own, user, deployTo }) {
  for (const version of ['1.0', '1.1-SNAPSHOT']) {
    await tally.check(`mvn: deploys ${version}, and resolves it elsewhere`, async () => {
      await writeProject(project, version);
      const publisher = await new Maven(join(folder, 'cold')).open({ mirror, server: user });
      const deployed = await publisher.run(project, ['deploy', deployTo], 900_000);
      assert.equal(deployed.code, 0, outputOf(deployed));
      const consumer = join(folder, `consumer-${version}`);
      await writeProject(consumer, '9.0');
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
      const result = await maven.run(consumer, ['compile', '-pl', 'web', '-am'], 900_000);
      assert.equal(result.code, 0, outputOf(result));
      const files = await readdir(join(maven.repository, 'com/example/app/model', version));
      assert.ok(
        files.some((name) => name.endsWith('.jar')),
        files.join(' '),
      );
    });
  }
  await tally.check('mvn: deploys no other bytes of a release, and says why', async () => {
    await writeProject(project, '1.0');
    await writeFile(join(project, 'model/src/main/java/com/example/More.java'), 'package com.example; class More {}\n');
    const publisher = await new Maven(join(folder, 'cold')).open({ mirror, server: user });
    const again = await publisher.run(project, ['deploy', deployTo], 900_000);
    assert.notEqual(again.code, 0);
    assert.match(again.stdout, /409/, outputOf(again));
  });
}
