import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasMaven, Maven } from '@entrepot/fixtures/maven';
import { Origin } from '@entrepot/fixtures/origin';
import { outputOf } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { zip } from '@entrepot/fixtures/zip';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';
import { gradleHermetic } from './gradle-hermetic.mjs';

/** @import { Tally } from '../tally.mjs' */

const GROUP = 'com.example.lib';
const ARTIFACTS = 30;
const VERSION = '1.0';
const SNAPSHOT = '2.0-SNAPSHOT';
const BUILD = '2.0-20260102.030405-1';

/** The artifact whose licence, which is that of its parent, is denied. */
const COPYLEFT = 'lib7';

/** Rules for the repository `judged`. */
const POLICY = {
  version: 1,
  rules: [
    {
      id: 'known-bad',
      match: { repositories: ['judged'], purl: [`pkg:maven/${GROUP}/lib3`] },
      action: 'deny',
      reason: 'lib3 is not for us',
    },
  ],
};

/** @param {string} artifact @param {string} version @param {string} [more] */
export const pomOf = (artifact, version, more = '') => `<?xml version="1.0" encoding="UTF-8"?>
<project><modelVersion>4.0.0</modelVersion><groupId>${GROUP}</groupId><artifactId>${artifact}</artifactId>
<version>${version}</version>${more}</project>
`;

/** @param {readonly string[]} names of artifacts that have one version */
const dependenciesOn = (names) =>
  `<dependencies>${names
    .map(
      (name) =>
        `<dependency><groupId>${GROUP}</groupId><artifactId>${name}</artifactId><version>${VERSION}</version></dependency>`,
    )
    .join('')}</dependencies>`;

/** @param {string} artifact @param {string} version @param {string} [file] its version in names of files */
const pathOf = (artifact, version, file = version) =>
  `/${GROUP.replaceAll('.', '/')}/${artifact}/${version}/${artifact}-${file}`;

/** A tree of artifacts, each of which needs two others, and a parent that is a snapshot. */
function repositoryFiles() {
  /** @type {Map<string, Buffer>} */
  const files = new Map();
  for (let at = 0; at < ARTIFACTS; at += 1) {
    const uses = [2 * at + 1, 2 * at + 2].filter((other) => other < ARTIFACTS).map((other) => `lib${other}`);
    const name = `lib${at}`;
    const parent = `<parent><groupId>${GROUP}</groupId><artifactId>copyleft</artifactId><version>${VERSION}</version></parent>`;
    const more = dependenciesOn(uses) + (name === COPYLEFT ? parent : '');
    files.set(`${pathOf(name, VERSION)}.pom`, Buffer.from(pomOf(name, VERSION, more)));
    files.set(`${pathOf(`lib${at}`, VERSION)}.jar`, zip([{ name: 'value.txt', content: `${at}`.repeat(1000) }]));
  }
  const licence = '<licenses><license><name>GNU General Public License, version 3</name></license></licenses>';
  const copyleft = pomOf('copyleft', VERSION, `<packaging>pom</packaging>${licence}`);
  files.set(`${pathOf('copyleft', VERSION)}.pom`, Buffer.from(copyleft));
  // Maven has each extension use it.
  const utils = '/org/codehaus/plexus/plexus-utils/1.1/plexus-utils-1.1';
  files.set(`${utils}.jar`, zip([{ name: 'utils.txt', content: 'utils' }]));
  files.set(`${utils}.pom`, Buffer.from(pomOf('plexus-utils', '1.1').replace(GROUP, 'org.codehaus.plexus')));
  const parent = pomOf('parent', SNAPSHOT, '<packaging>pom</packaging>');
  files.set(`${pathOf('parent', SNAPSHOT, BUILD)}.pom`, Buffer.from(parent));
  const folder = pathOf('parent', SNAPSHOT).replace(/[^/]*$/, '');
  files.set(
    `${folder}maven-metadata.xml`,
    Buffer.from(`<metadata><groupId>${GROUP}</groupId><artifactId>parent</artifactId><version>${SNAPSHOT}</version>
<versioning><snapshot><timestamp>20260102.030405</timestamp><buildNumber>1</buildNumber></snapshot><lastUpdated>20260102030405</lastUpdated>
<snapshotVersions><snapshotVersion><extension>pom</extension><value>${BUILD}</value><updated>20260102030405</updated></snapshotVersion>
</snapshotVersions></versioning></metadata>`),
  );
  return files;
}

/** @param {string} algorithm @param {string | Buffer} bytes */
const sum = (algorithm, bytes) => createHash(algorithm).update(bytes).digest('hex');

/** Writes a project whose extensions are what Maven itself has to fetch, without any plugin. @param {string} folder */
async function writeProject(folder) {
  await mkdir(folder, { recursive: true });
  const more = `<packaging>pom</packaging>
<parent><groupId>${GROUP}</groupId><artifactId>parent</artifactId><version>${SNAPSHOT}</version><relativePath/></parent>
<build><extensions><extension><groupId>${GROUP}</groupId><artifactId>lib0</artifactId><version>${VERSION}</version></extension></extensions></build>`;
  await writeFile(join(folder, 'pom.xml'), pomOf('project', '1', more));
}

/**
 * Real `mvn` against an upstream of our own: from an empty store, with the upstream gone, with one that lies, and against a hosted
 * repository with users.
 * @param {Tally} tally
 */
export async function mavenHermetic(tally) {
  if (!(await hasMaven())) {
    note('no mvn on this machine: its scenario is left out');
    return;
  }
  await withScratch('maven', async (folder) => {
    const files = repositoryFiles();
    /** @type {(path: string, body: Buffer) => Buffer} */
    let tamper = (_, body) => body;
    const upstream = await new Origin((request, response) => {
      const path = request.url ?? '';
      const own = /^(.*)\.(sha1|md5)$/.exec(path);
      const body = files.get(own?.[1] ?? path);
      if (body === undefined) return void response.writeHead(404).end();
      const sent = tamper(path, own ? Buffer.from(sum(own[2] ?? '', body)) : body);
      response
        .writeHead(200, { 'content-length': sent.length, 'last-modified': 'Mon, 05 Jan 2026 00:00:00 GMT' })
        .end(sent);
    }).start();
    const user = { username: 'ci', password: 'of-ci' };
    const server = new EntrepotServer({
      folder: await made(join(folder, 'server')),
      port: await freePort(),
      repositories: {
        maven: { type: 'maven', upstream: upstream.url },
        own: {
          type: 'maven',
          kind: 'hosted',
          access: { anonymous: 'none', users: { ci: { password: '${env:CI_PASSWORD}', may: 'write' } } },
        },
        judged: { type: 'maven', upstream: upstream.url },
        gradle: { type: 'maven', upstream: upstream.url },
      },
      more: { policy: { file: join(folder, 'policy.yaml') } },
      env: { CI_PASSWORD: user.password },
    });
    await writeFile(join(folder, 'policy.yaml'), JSON.stringify(POLICY));
    const project = join(folder, 'project');
    await writeProject(project);
    const client = async (/** @type {string} */ name, /** @type {string} */ place = 'maven') =>
      await new Maven(join(folder, name)).open({
        mirror: `${server.url}/${place}`,
        repositories: [`${server.url}/${place}`],
      });
    const libraries = Array.from({ length: ARTIFACTS }, (_, at) => `${pathOf(`lib${at}`, VERSION)}.jar`);
    try {
      if (!(await tally.check('maven: the server starts', () => server.start()))) return;
      await tally.check(
        'maven: mvn fetches a tree of artifacts and the parent of a snapshot, with strict checksums',
        async () => {
          const maven = await client('cold');
          const result = await maven.run(project, ['validate']);
          assert.equal(result.code, 0, outputOf(result));
          for (const path of libraries)
            assert.deepEqual(await readFile(join(maven.repository, path)), files.get(path), path);
          const again = [...upstream.requests].filter(([, count]) => count > 1);
          assert.deepEqual(again, [], 'the upstream was asked twice');
        },
      );
      await tally.check('maven: mvn fetches them from an empty local repository with the upstream gone', async () => {
        await upstream.stop();
        const before = upstream.requests.size;
        const maven = await client('offline');
        const result = await maven.run(project, ['validate']);
        assert.equal(result.code, 0, outputOf(result));
        for (const path of libraries)
          assert.deepEqual(await readFile(join(maven.repository, path)), files.get(path), path);
        assert.equal(upstream.requests.size, before);
      });
      await upstream.start();
      await tally.check('maven: mvn says that policy refuses an artifact, and gets none of its files', async () => {
        const maven = await client('judged', 'judged');
        const result = await maven.run(project, ['validate']);
        assert.notEqual(result.code, 0);
        assert.match(result.stdout, /lib3.*403/, outputOf(result));
        for (const ending of ['jar', 'pom', 'jar.sha1', 'pom.md5']) {
          const reply = await fetch(`${server.url}/judged${pathOf('lib3', VERSION)}.${ending}`);
          const text = await reply.text();
          assert.equal(reply.status, 403);
          assert.match(text, /known-bad/);
        }
      });
      await licences(tally, { upstream, folder, project });
      await hosted(tally, { folder, server, user });
      const jars = new Map(libraries.map((path) => [path, /** @type {Buffer} */ (files.get(path))]));
      await gradleHermetic(tally, { folder, server, upstream, libraries: jars, user });
      await lies(tally, { upstream, files, folder, setTamper: (next) => (tamper = next) });
    } finally {
      await server.kill();
      await upstream.stop();
    }
  });
}

/**
 * A licence that the parent of an artifact states, under a rule that reads POMs.
 * @param {Tally} tally
 * @param {{ upstream: Origin, folder: string, project: string }} scene
 */
async function licences(tally, { upstream, folder, project }) {
  const place = await made(join(folder, 'licences'));
  const file = join(place, 'policy.yaml');
  const rule = { id: 'no-copyleft', when: { licenses: { deny: ['GPL-3.0-only'] } }, action: 'deny' };
  await writeFile(file, JSON.stringify({ version: 1, rules: [rule] }));
  const server = new EntrepotServer({
    folder: place,
    port: await freePort(),
    repositories: { maven: { type: 'maven', upstream: upstream.url } },
    more: { policy: { file } },
  });
  await tally.check(
    'maven: mvn says that policy denies the licence of an artifact, which its parent states',
    async () => {
      try {
        await server.start();
        const repository = `${server.url}/maven`;
        const maven = await new Maven(join(place, 'client')).open({ mirror: repository, repositories: [repository] });
        const result = await maven.run(project, ['validate']);
        assert.notEqual(result.code, 0);
        assert.match(result.stdout, new RegExp(`${COPYLEFT}.*403.*no-copyleft`), outputOf(result));
        const reply = await fetch(`${repository}${pathOf(COPYLEFT, VERSION)}.jar`);
        const text = await reply.text();
        assert.equal(reply.status, 403);
        assert.match(text, /GPL-3\.0-only/);
        const other = await fetch(`${repository}${pathOf('lib8', VERSION)}.jar`);
        await other.arrayBuffer();
        assert.equal(other.status, 200);
      } finally {
        await server.kill();
      }
    },
  );
}

/** Puts files as `mvn deploy` does, with their sums, and reads them with `mvn`. @param {Tally} tally @param {{ folder: string, server: EntrepotServer, user: { username: string, password: string } }} scene */
async function hosted(tally, { folder, server, user }) {
  const place = `${server.url}/own`;
  const mirror = `${server.url}/maven`;
  const authorization = `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`;
  const put = async (/** @type {string} */ path, /** @type {string | Buffer} */ body, as = authorization) =>
    (await fetch(`${place}${path}`, { method: 'PUT', body, headers: as === '' ? {} : { authorization: as } })).status;
  const deploy = async (/** @type {string} */ path, /** @type {string | Buffer} */ body) => {
    assert.equal(await put(path, body), 201, path);
    for (const algorithm of ['sha1', 'md5', 'sha256', 'sha512'])
      assert.equal(await put(`${path}.${algorithm}`, sum(algorithm, body)), 201, `${path}.${algorithm}`);
  };
  const parent = { release: pomOf('base', '3.0', '<packaging>pom</packaging>') };
  await tally.check(
    'hosted maven: releases and snapshots that were put are fetched by mvn, for those who may',
    async () => {
      const jar = zip([{ name: 'tool.txt', content: 'tool' }]);
      await deploy(`${pathOf('tool', '3.0')}.jar`, jar);
      await deploy(`${pathOf('tool', '3.0')}.pom`, pomOf('tool', '3.0'));
      await deploy(
        `${pathOf('base', '3.1-SNAPSHOT', '3.1-20260102.030405-1')}.pom`,
        pomOf('base', '3.1-SNAPSHOT', '<packaging>pom</packaging>'),
      );
      assert.equal(await put(`${pathOf('tool', '3.0')}.war`, jar, ''), 401);
      const project = await made(join(folder, 'hosted-project'));
      const more = `<packaging>pom</packaging>
<parent><groupId>${GROUP}</groupId><artifactId>base</artifactId><version>3.1-SNAPSHOT</version><relativePath/></parent>
<build><extensions><extension><groupId>${GROUP}</groupId><artifactId>tool</artifactId><version>3.0</version></extension></extensions></build>`;
      await writeFile(join(project, 'pom.xml'), pomOf('project', '1', more));
      const maven = await new Maven(join(folder, 'hosted')).open({ mirror, repositories: [place], server: user });
      const result = await maven.run(project, ['validate']);
      assert.equal(result.code, 0, outputOf(result));
      assert.deepEqual(await readFile(join(maven.repository, `${pathOf('tool', '3.0')}.jar`)), jar);
      const stranger = await new Maven(join(folder, 'stranger')).open({ mirror, repositories: [place] });
      assert.notEqual((await stranger.run(project, ['validate'])).code, 0);
    },
  );
  await tally.check('hosted maven: other bytes of a release, and a wrong sum, are refused', async () => {
    await deploy(`${pathOf('base', '3.0')}.pom`, parent.release);
    assert.equal(await put(`${pathOf('base', '3.0')}.pom`, pomOf('base', '3.0', '<name>other</name>')), 409);
    assert.equal(await put(`${pathOf('base', '3.0')}.pom`, parent.release), 200);
    assert.equal(await put(`${pathOf('base', '3.0')}.pom.sha1`, sum('sha1', 'other')), 400);
  });
  await tally.check('hosted maven: 20 deployments at once are all listed', async () => {
    const versions = Array.from({ length: 20 }, (_, at) => `4.${at}`);
    await Promise.all(versions.map((version) => deploy(`${pathOf('many', version)}.pom`, pomOf('many', version))));
    const path = `${pathOf('many', '4.0').replace(/\/4\.0\/.*$/, '')}/maven-metadata.xml`;
    const text = await (await fetch(place + path, { headers: { authorization } })).text();
    for (const version of versions) assert.ok(text.includes(`<version>${version}</version>`), text);
  });
}

/**
 * An upstream that sends wrong bytes, each in a server of its own.
 * @param {Tally} tally
 * @param {{ upstream: Origin, files: ReadonlyMap<string, Buffer>, folder: string, setTamper: (tamper: (path: string, body: Buffer) => Buffer) => void }} scene
 */
async function lies(tally, { upstream, files, folder, setTamper }) {
  const flipped = (/** @type {Buffer} */ body) =>
    Buffer.concat([body.subarray(0, -1), Buffer.from([(body.at(-1) ?? 0) ^ 1])]);
  const wrong = {
    jar: /lib0-1\.0\.jar$/,
    POM: /lib0-1\.0\.pom$/,
    sum: /lib0-1\.0\.jar\.sha1$/,
    metadata: /maven-metadata\.xml$/,
  };
  for (const [what, pattern] of Object.entries(wrong)) {
    await tally.check(`maven: a wrong ${what} is neither served nor kept`, async () => {
      setTamper((path, body) =>
        pattern.test(path) ? (what === 'sum' ? Buffer.from(sum('sha1', 'other')) : flipped(body)) : body,
      );
      const server = new EntrepotServer({
        folder: await made(join(folder, `wrong-${what}`)),
        port: await freePort(),
        repositories: { maven: { type: 'maven', upstream: upstream.url } },
      });
      try {
        await server.start();
        const path =
          {
            sum: `${pathOf('lib0', VERSION)}.jar`,
            jar: `${pathOf('lib0', VERSION)}.jar`,
            POM: `${pathOf('lib0', VERSION)}.pom`,
          }[what] ?? `${pathOf('parent', SNAPSHOT).replace(/[^/]*$/, '')}maven-metadata.xml`;
        const maven = await new Maven(join(folder, `wrong-${what}-client`)).open({
          mirror: `${server.url}/maven`,
          repositories: [`${server.url}/maven`],
        });
        const result = await maven.run(join(folder, 'project'), ['validate']);
        assert.notEqual(result.code, 0, outputOf(result));
        const reply = await fetch(`${server.url}/maven${path}`);
        await reply.arrayBuffer();
        assert.equal(reply.status, 502);
        setTamper((_, body) => body);
        const healed = await fetch(`${server.url}/maven${path}`);
        assert.equal(healed.status, 200);
        assert.deepEqual(Buffer.from(await healed.arrayBuffer()), files.get(path));
      } finally {
        setTamper((_, body) => body);
        await server.kill();
      }
    });
  }
}

/** @param {string} folder */
async function made(folder) {
  await mkdir(folder, { recursive: true });
  return folder;
}
