import { strict as assert } from 'node:assert';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { DnfRoot, ZypperRoot } from '@entrepot/fixtures/rpm-roots';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { generateKey } from 'openpgp';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';
import { rpmAdditions } from './rpm-additions.mjs';

/** @import { Tally } from '../tally.mjs' */
/** @import { CommandResult } from '@entrepot/fixtures/run-command' */
/** @typedef {DnfRoot | ZypperRoot} Client */

const CLIENTS = { dnf: DnfRoot, zypper: ZypperRoot };
const PASSPHRASE = 'a passphrase';
const TREE = 'el9/noarch';
/** Uploads at the same time. */
const AT_ONCE = 20;
/** Files of one package. */
const MANY_FILES = 5000;
/** Packages of one specification. */
const PACKAGES_OF_ONE = 200;

/**
 * A repository of one's own for the dnf and the zypper of this machine: packages that rpmbuild builds and curl puts, signed and unsigned,
 * with many uploads at once and with many packages.
 * @param {Tally} tally
 * @param {{ packages: number }} size of a tree
 */
export async function rpmHosted(tally, { packages }) {
  for (const tool of ['rpmbuild', 'rpm', 'gpg', 'createrepo_c', 'dnf', 'zypper']) {
    if (await hasTool(tool)) continue;
    note(`no ${tool} on this machine: hosted rpm is left out`);
    return;
  }
  await withScratch('rpm-hosted', async (folder) => {
    const { privateKey } = await keyOf('Archive', PASSPHRASE);
    await writeFile(join(folder, 'archive.key'), privateKey);
    const users = {
      ci: { password: '${env:CI_PASSWORD}', may: 'write', names: ['el9/**', 'large'] },
      host: { password: '${env:HOST_PASSWORD}', may: 'read' },
    };
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories: {
        packages: {
          type: 'rpm',
          kind: 'hosted',
          signing: { key: `\${file:${join(folder, 'archive.key')}}`, passphrase: '${env:ARCHIVE_PASSPHRASE}' },
          access: { anonymous: 'none', users },
        },
        unsigned: { type: 'rpm', kind: 'hosted', access: { anonymous: 'write' } },
      },
      env: { ARCHIVE_PASSPHRASE: PASSPHRASE, CI_PASSWORD: 'of-ci', HOST_PASSWORD: 'of-host' },
    });
    try {
      if (!(await tally.check('hosted rpm: the server starts', () => server.start()))) return;
      await signed(tally, { folder, server });
      await compared(tally, { folder, server });
      await rpmAdditions(tally, { folder, url: `${server.url}/unsigned/additions` });
      await unsigned(tally, { folder, server });
      await many(tally, { folder, server, packages });
    } finally {
      await server.kill();
    }
  });
}

/** @typedef {{ folder: string, server: EntrepotServer }} Scene */

/** @param {Tally} tally @param {Scene} scene */
async function signed(tally, { folder, server }) {
  const place = `${server.url}/packages/${TREE}`;
  const put = (/** @type {string} */ file, user = 'ci:of-ci') => curl(['-u', user, '-T', file, `${place}/Packages/`]);
  /** @type {Record<string, Client>} */
  const clients = {};
  await tally.check('hosted rpm: curl puts what rpmbuild built, for those who may', async () => {
    const hello = await built(folder, { name: 'hello', version: '1.0', needs: 'greet >= 1.0' });
    const greet = await built(folder, { name: 'greet', version: '1.0' });
    assert.equal((await put(hello, 'host:of-host')).status, 403);
    assert.equal((await curl(['-T', hello, `${place}/Packages/`])).status, 401);
    for (const other of ['other/Packages/', 'Packages/'])
      assert.equal((await curl(['-u', 'ci:of-ci', '-T', hello, `${server.url}/packages/${other}`])).status, 403);
    for (const file of [hello, greet]) assert.equal((await put(file)).status, 201);
  });
  for (const [name, Root] of Object.entries(CLIENTS)) {
    await tally.check(`hosted rpm: ${name} verifies, and installs with what is needed`, async () => {
      const client = (clients[name] = await new Root(join(folder, name)).open(ofHost(place)));
      succeeded(await client.update());
      succeeded(await client.install('hello'));
      assert.equal(await client.read('usr/share/hello/version'), '1.0\n');
      assert.equal(await client.read('usr/share/greet/version'), '1.0\n');
    });
    await tally.check(`hosted rpm: ${name} takes nothing that another key would have to sign`, async () => {
      const { publicKey } = await keyOf('Other');
      await writeFile(join(folder, 'other.asc'), publicKey);
      const client = await new Root(join(folder, `${name}-other`)).open({
        ...ofHost(place),
        gpgkey: `file://${join(folder, 'other.asc')}`,
      });
      succeeded(await client.trust(join(folder, 'other.asc')));
      const result = await client.update();
      assert.notEqual(result.code, 0, outputOf(result));
      assert.match(outputOf(result), /Bad GPG signature|Signature verification failed for repomd\.xml/);
    });
  }
  await tally.check('hosted rpm: both upgrade at once, after a restart as well', async () => {
    await server.stop();
    await server.start();
    // Other forms of payloads, and an epoch.
    const next = await built(folder, { name: 'hello', version: '0.9~rc1', epoch: 1, payload: 'w6.xzdio' });
    assert.equal((await put(next)).status, 201);
    for (const client of Object.values(clients)) {
      succeeded(await client.update());
      succeeded(await client.install('hello'));
      assert.equal(await client.read('usr/share/hello/version'), '0.9~rc1\n');
    }
  });
  await tally.check('hosted rpm: other bytes of a version are refused, and the same are not', async () => {
    const refused = await put(await built(folder, { name: 'hello', version: '1.0', payload: 'w0.gzdio' }));
    assert.equal(refused.status, 409, refused.body);
    assert.match(refused.body, /Packages\/hello-1\.0-1\.noarch\.rpm exists with other bytes/);
    const again = await built(folder, { name: 'again', version: '1' });
    assert.deepEqual([(await put(again)).status, (await put(again)).status], [201, 200]);
    for (const [name, Root] of Object.entries(CLIENTS)) {
      const client = await new Root(join(folder, `${name}-old`)).open(ofHost(place));
      succeeded(await client.update());
      succeeded(await client.install(name === 'dnf' ? 'hello-0:1.0' : 'hello=0:1.0', 'again'));
      assert.equal(await client.read('usr/share/hello/version'), '1.0\n');
    }
  });
  await tally.check(`hosted rpm: ${AT_ONCE} uploads at once are all there`, async () => {
    const names = Array.from({ length: AT_ONCE }, (_, index) => `many-${index}`);
    const files = await builtTogether(folder, 'many', names);
    const replies = await Promise.all(files.map((file) => put(file)));
    assert.deepEqual(
      replies.map(({ status }) => status),
      names.map(() => 201),
    );
    for (const client of Object.values(clients)) {
      succeeded(await client.update());
      succeeded(await client.install(...names));
      for (const name of names) assert.equal(await client.read(`usr/share/${name}/version`), '1\n');
    }
  });
  await tally.check('hosted rpm: a package that was deleted is in no list', async () => {
    const path = `${place}/Packages/again-1-1.noarch.rpm`;
    assert.equal((await curl(['-u', 'ci:of-ci', '-X', 'DELETE', path])).status, 204);
    for (const [name, Root] of Object.entries(CLIENTS)) {
      const client = await new Root(join(folder, `${name}-deleted`)).open(ofHost(place));
      succeeded(await client.update());
      const result = await client.install('again');
      assert.notEqual(result.code, 0);
      assert.match(outputOf(result), /No match for argument: again|'again' not found/);
    }
  });
}

/**
 * Compares what dnf finds in lists of ours and of createrepo_c, of the same packages.
 * @param {Tally} tally @param {Scene} scene
 */
async function compared(tally, { folder, server }) {
  const place = `${server.url}/packages/el9/compared`;
  await tally.check('hosted rpm: dnf finds in its lists what it finds in those of createrepo_c', async () => {
    const theirs = join(folder, 'compared');
    await mkdir(join(theirs, 'Packages'), { recursive: true });
    for (const version of ['1', '2']) {
      for (const file of await builtRich(folder, version)) {
        await copyFile(file, join(theirs, 'Packages', basename(file)));
        assert.equal((await curl(['-u', 'ci:of-ci', '-T', file, `${place}/Packages/`])).status, 201);
      }
    }
    succeeded(await run(['createrepo_c', '--quiet', theirs]));
    const ours = await new DnfRoot(join(folder, 'dnf-ours')).open(ofHost(place));
    const other = await new DnfRoot(join(folder, 'dnf-theirs')).open({ baseurl: `file://${theirs}`, gpgcheck: '0' });
    const lists = [
      'provides',
      'requires',
      'requires_pre',
      'conflicts',
      'obsoletes',
      'recommends',
      'suggests',
      'supplements',
      'enhances',
    ];
    const facts = [
      'evr',
      'arch',
      'installsize',
      'downloadsize',
      'buildtime',
      'sourcerpm',
      'vendor',
      'url',
      'packager',
      'license',
    ];
    const all = [...facts, 'summary', 'description', ...lists].map((name) => `${name}: %{${name}}`);
    const asked = [
      ['--qf', `%{name}\n${all.join('\n')}`, 'rich*'],
      ['--list', 'rich*'],
      ['--changelogs', 'rich*'],
      ['--whatprovides', `/usr/share/rich-many/a-file-of-this-name-${MANY_FILES}`],
      ['--whatprovides', '/usr/bin/rich'],
      ['--whatprovides', '/usr/share/rich/a&b'],
    ];
    for (const words of asked) {
      const [one, same] = [await ours.run('-q', 'repoquery', ...words), await other.run('-q', 'repoquery', ...words)];
      succeeded(one);
      assert.match(one.stdout, /\S/, words.join(' '));
      assert.equal(sorted(one.stdout), sorted(same.stdout), words.join(' '));
    }
  });
}

/** @param {Tally} tally @param {Scene} scene */
async function unsigned(tally, { folder, server }) {
  // The repository itself is a tree.
  const place = `${server.url}/unsigned`;
  await tally.check(
    'hosted rpm: both take a repository without a key where it is trusted, and only there',
    async () => {
      const file = await built(folder, { name: 'plain', version: '1' });
      assert.equal((await curl(['-T', file, `${place}/Packages/`])).status, 201);
      for (const [name, Root] of Object.entries(CLIENTS)) {
        const trusting = await new Root(join(folder, `${name}-trusting`)).open({ baseurl: place, gpgcheck: '0' });
        succeeded(await trusting.update());
        succeeded(await trusting.install('plain'));
        assert.equal(await trusting.read('usr/share/plain/version'), '1\n');
        const settings = { baseurl: place, gpgcheck: '0', repo_gpgcheck: '1' };
        const strict = await new Root(join(folder, `${name}-strict`)).open(settings);
        const result = await strict.update();
        assert.notEqual(result.code, 0, outputOf(result));
        assert.match(outputOf(result), /GPG signature is not available|is not signed|unsigned/);
      }
    },
  );
}

/** @param {Tally} tally @param {Scene & { packages: number }} scene */
async function many(tally, { folder, server, packages }) {
  const place = `${server.url}/packages/large`;
  const headers = { authorization: `Basic ${Buffer.from('ci:of-ci').toString('base64')}` };
  await tally.check(`hosted rpm: a tree of ${packages} packages`, async () => {
    const names = Array.from({ length: packages }, (_, index) => `package-${index}`);
    /** @type {string[]} */
    const files = [];
    for (let at = 0; at < packages; at += PACKAGES_OF_ONE)
      files.push(...(await builtTogether(folder, `large-${at}`, names.slice(at, at + PACKAGES_OF_ONE))));
    const put = async (/** @type {string} */ file) => {
      const body = await readFile(file);
      const started = performance.now();
      const { status } = await get(`${place}/Packages/${basename(file)}`, { method: 'PUT', headers, body });
      assert.equal(status, 201);
      return performance.now() - started;
    };
    let next = 0;
    const worker = async () => {
      while (next < packages - 5) await put(/** @type {string} */ (files[next++]));
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    const times = [];
    for (; next < packages; next += 1) times.push(Math.round(await put(/** @type {string} */ (files[next]))));
    note(`hosted rpm: each of the last of ${packages} packages: ${times.join(', ')} ms`);
    for (const [name, Root] of Object.entries(CLIENTS)) {
      const client = await new Root(join(folder, `${name}-large`)).open(ofHost(place));
      succeeded(await client.update());
      succeeded(await client.install('package-0', `package-${packages - 1}`));
      assert.equal(await client.read('usr/share/package-0/version'), '1\n');
    }
  });
}

/** The settings of a machine that may read. @param {string} place */
function ofHost(place) {
  return {
    baseurl: place,
    gpgcheck: '0',
    repo_gpgcheck: '1',
    gpgkey: `${place}/repodata/repomd.xml.key`,
    username: 'host',
    password: 'of-host',
  };
}

/**
 * Builds a package with rpmbuild.
 * @param {string} folder
 * @param {{ name: string, version: string, epoch?: number, needs?: string, payload?: string }} about
 * @returns {Promise<string>} its path, with the name that rpmbuild gives it
 */
async function built(folder, { name, version, epoch = 0, needs, payload = 'w3.zstdio' }) {
  const spec = `Name: ${name}
Epoch: ${epoch}
Version: ${version}
Release: 1
Summary: ${name} of a test & <more>
License: MIT
BuildArch: noarch
${needs === undefined ? '' : `Requires: ${needs}\n`}%description
With a long description,

of several lines.
%install
mkdir -p %{buildroot}/usr/share/${name}
echo '${version}' > %{buildroot}/usr/share/${name}/version
%files
/usr/share/${name}
`;
  const [file = ''] = await rpmbuild(folder, `${name}-${version}-${payload}`, spec, payload);
  return file;
}

/** Builds packages of one specification. @param {string} folder @param {string} name @param {readonly string[]} names */
async function builtTogether(folder, name, names) {
  const parts = names.map(
    (one) => `%package -n ${one}\nSummary: ${one}\n%description -n ${one}\n%files -n ${one}\n/usr/share/${one}\n`,
  );
  const spec = `Name: ${name}
Version: 1
Release: 1
Summary: Packages of a test
License: MIT
BuildArch: noarch
%description
%install
for name in ${names.join(' ')}; do
  mkdir -p %{buildroot}/usr/share/$name
  echo 1 > %{buildroot}/usr/share/$name/version
done
${parts.join('')}`;
  return await rpmbuild(folder, name, spec);
}

/** Builds packages with everything that lists say. @param {string} folder @param {string} version */
async function builtRich(folder, version) {
  const spec = `Name: rich
Epoch: 1
Version: ${version}.0~rc1^git
Release: 3.el9
Summary: Rich & <more> "quoted"
License: MIT
URL: https://example.com/?a=1&b=2
Vendor: Example "Corp"
Group: Applications/Text
Packager: CI <ci@example.com>
BuildArch: noarch
Provides: hello = 1.0, /usr/bin/odd
Requires: bash >= 4, (foo or bar >= 1), /bin/sh, hello = 1.0, /usr/bin/rich, odd = 1:2-3
Requires(post): coreutils
Conflicts: goodbye < 3:2
Obsoletes: hi <= 1-2, ho > 3
Recommends: rec > 1
Suggests: sug
Supplements: sup
Enhances: enh = 1:2-3
%description
Says ]]> & "more".

  Ünïcode
%package doc
Summary: Documents
Requires: rich = 1:%{version}-%{release}
%description doc
%package many
Summary: So many files that the header is read in a thread
%description many
%install
mkdir -p %{buildroot}/usr/share/rich-many
for number in $(seq ${version === '2' ? MANY_FILES : 1}); do echo > %{buildroot}/usr/share/rich-many/a-file-of-this-name-$number; done
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/rich %{buildroot}/usr/share/rich %{buildroot}/var/log
echo hi | tee %{buildroot}/usr/bin/rich %{buildroot}/etc/rich/conf '%{buildroot}/usr/share/rich/a&b' > %{buildroot}/var/log/rich.log
%post
true
%files
/usr/bin/rich
%dir /etc/rich
%config /etc/rich/conf
%ghost /var/log/rich.log
%files doc
/usr/share/rich
%files many
/usr/share/rich-many
%changelog
${Array.from({ length: 12 }, (_, index) => `* Tue Jan 06 2026 A & <a@example.com> - 1.0-${12 - index}\n- change ${12 - index}\n`).join('')}`;
  return await rpmbuild(folder, `rich-${version}`, spec);
}

/** @param {string} folder @param {string} name @param {string} spec @param {string} [payload] */
async function rpmbuild(folder, name, spec, payload = 'w3.zstdio') {
  const tree = join(folder, 'trees', name);
  await mkdir(tree, { recursive: true });
  await writeFile(join(tree, 'own.spec'), spec);
  const places = { _topdir: join(tree, 'build'), _rpmdir: join(tree, 'built'), _binary_payload: payload };
  const defines = Object.entries(places).flatMap(([key, value]) => ['--define', `${key} ${value}`]);
  succeeded(await run(['rpmbuild', '-bb', '--quiet', ...defines, join(tree, 'own.spec')]));
  const found = await readdir(join(tree, 'built/noarch'));
  return found.map((file) => join(tree, 'built/noarch', file));
}

/** @param {readonly string[]} words @returns {Promise<{ status: number, body: string }>} */
async function curl(words) {
  const result = await run(['curl', '-sS', '-w', '\n%{http_code}', ...words]);
  assert.equal(result.code, 0, outputOf(result));
  const end = result.stdout.lastIndexOf('\n');
  return { status: Number(result.stdout.slice(end + 1)), body: result.stdout.slice(0, end) };
}

/** @param {readonly string[]} command */
async function run(command) {
  // Settings of this machine, such as a proxy, are not for it.
  const env = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', HOME: '/nonexistent' };
  return await runCommand(command, { cwd: '/', env, timeout: 300_000 });
}

/** @param {string} tool */
async function hasTool(tool) {
  const result = await run(['which', tool]).catch(() => undefined);
  return result?.code === 0;
}

/** @param {string} name @param {string} [passphrase] */
async function keyOf(name, passphrase) {
  const userIDs = [{ name, email: 'archive@example.com' }];
  // Older than whatever it signs.
  const date = new Date(Date.now() - 86_400_000);
  return await generateKey({ userIDs, date, ...(passphrase !== undefined && { passphrase }) });
}

/** @param {string} text */
function sorted(text) {
  return text.split('\n').sort().join('\n');
}

/** @param {CommandResult} result */
function succeeded(result) {
  assert.equal(result.code, 0, outputOf(result));
}
