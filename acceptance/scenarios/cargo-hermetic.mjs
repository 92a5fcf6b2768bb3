import { strict as assert } from 'node:assert';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fixtureCrate } from '@entrepot/fixtures/cargo-crates';
import { get } from '@entrepot/fixtures/get';
import { outputOf } from '@entrepot/fixtures/run-command';
import { emptied, withScratch } from '@entrepot/fixtures/scratch';
import { hasCargo, newHome, newProject, runCargo } from '@entrepot/fixtures/cargo';
import { CargoIndex } from '../servers/cargo-index.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';
import { cargoHosted } from './cargo-hosted.mjs';
import { cargoPolicy } from './cargo-policy.mjs';

/** @import { FixtureCrate } from '@entrepot/fixtures/cargo-crates' */
/** @import { Tally } from '../tally.mjs' */

const CRATES = 40;
/** Names of one, two and three letters, in mixed case, with `-` and with `_`. */
const NAMES = ['root-crate', 'a', 'bc', 'def', 'MixedCase', 'with_line', 'with-dash'];

/** @param {number} at */
const nameOf = (at) => NAMES[at] ?? `crate${at}`;
/** @param {number} at */
const versionOf = (at) => (at % 5 === 3 ? `1.0.${at}+build.${at}` : at % 7 === 5 ? `1.0.${at}-rc.1` : `1.0.${at}`);

/** A graph of crates, each of which uses others. @returns {FixtureCrate[]} */
function crateGraph() {
  return Array.from({ length: CRATES }, (_, at) => {
    const uses = [2 * at + 1, 2 * at + 2]
      .filter((other) => other < CRATES)
      .map((other) => ({ name: nameOf(other), version: versionOf(other) }));
    return fixtureCrate({ name: nameOf(at), version: versionOf(at), uses, filling: at * 2_000 });
  });
}

/**
 * Real cargo on a registry of its own: from an empty store, with the upstream gone, with a policy, with an upstream that lies, and on hosted
 * registries.
 * @param {Tally} tally
 */
export async function cargoHermetic(tally) {
  if (!(await hasCargo())) {
    note('no cargo 1.70 or newer on this machine: its scenario is left out');
    return;
  }
  await withScratch('cargo', async (folder) => {
    const upstream = new CargoIndex();
    upstream.crates = crateGraph();
    await upstream.start();
    try {
      await proxied(tally, folder, upstream);
      await judged(tally, folder, upstream);
      await cargoPolicy(tally, folder, upstream);
      await tampered(tally, folder, upstream);
    } finally {
      await upstream.stop();
    }
    await cargoHosted(tally, folder);
  });
}

/** Settings with which documents stay fresh while the scenario runs. */
const CACHE = { index: { freshFor: '1h' }, config: { freshFor: '1h' } };

/** @param {Tally} tally @param {string} folder @param {CargoIndex} upstream */
async function proxied(tally, folder, upstream) {
  const repositories = { crates: { type: 'cargo', upstream: upstream.url, cache: CACHE } };
  const place = await emptied(join(folder, 'proxied'));
  const server = new EntrepotServer({ folder: place, port: await freePort(), repositories });
  const url = `${server.url}/crates`;
  try {
    if (!(await tally.check('cargo: the server starts', () => server.start()))) return;
    /** @type {string[]} */
    const locks = [];
    for (const replaces of [true, false]) {
      const how = replaces ? 'in place of the public registry' : 'from a registry beside it';
      await tally.check(`cargo: builds ${CRATES} crates from an empty client, ${how}`, async () => {
        locks.push(await build(place, url, replaces));
      });
    }
    await tally.check('cargo: every file was fetched once for all clients', () => {
      const more = [...upstream.requests].filter(([, times]) => times > 1);
      assert.deepEqual(more, []);
      const crates = [...upstream.requests.keys()].filter((name) => name.endsWith('/download'));
      assert.equal(crates.length, CRATES);
    });
    await tally.check('cargo: asks again with what it has, and is told that nothing changed', async () => {
      const result = await runCargo(['update'], { home: join(place, 'home'), project: join(place, 'project') });
      assert.equal(result.code, 0, outputOf(result));
      const index = await get(`${url}/ro/ot/root-crate`);
      const again = await get(`${url}/ro/ot/root-crate`, { headers: { 'if-none-match': String(index.headers.etag) } });
      assert.equal(again.status, 304);
      assert.equal(index.body.toString(), `${upstream.crates[0]?.line}\n`);
    });
    await upstream.stop();
    await tally.check('cargo: the server starts again', async () => {
      await server.stop();
      await server.start();
    });
    for (const [at, replaces] of [true, false].entries()) {
      await tally.check(
        `cargo: builds the same with the upstream gone (${replaces ? 'replaced' : 'beside'})`,
        async () => {
          assert.equal(await build(place, url, replaces), locks[at]);
        },
      );
    }
    await tally.check('cargo: the upstream was asked for nothing', async () => {
      assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
    });
  } finally {
    await server.kill();
    await upstream.start();
  }
}

/** Builds and runs a program, and gives its lockfile. @param {string} folder @param {string} url @param {boolean} replaces */
async function build(folder, url, replaces) {
  const [home, project] = [join(folder, 'home'), join(folder, 'project')];
  await newHome(home, { registries: { here: url }, ...(replaces && { replaces: 'here' }) });
  const version = `version = "=${versionOf(0)}"`;
  const dependencies = `${nameOf(0)} = { ${version}${replaces ? '' : ', registry = "here"'} }`;
  await newProject(project, { dependencies, uses: [nameOf(0)] });
  const result = await runCargo(['run', '--quiet'], { home, project });
  assert.equal(result.code, 0, outputOf(result));
  assert.ok(Number(result.stdout.trim()) >= CRATES, outputOf(result));
  return await readFile(join(project, 'Cargo.lock'), 'utf8');
}

/** A version that policy refuses: others are taken, and who is locked to it is told why. @param {Tally} tally @param {string} folder @param {CargoIndex} upstream */
async function judged(tally, folder, upstream) {
  const place = await emptied(join(folder, 'judged'));
  const versions = ['1.0.0', '1.1.0', '1.2.0'].map((version) => fixtureCrate({ name: 'judged', version }));
  const before = upstream.crates;
  upstream.crates = [...before, ...versions];
  const policy = join(place, 'policy.yaml');
  await writeFile(policy, JSON.stringify({ version: 1, rules: [] }));
  const repositories = { crates: { type: 'cargo', upstream: upstream.url, cache: CACHE } };
  const server = new EntrepotServer({
    folder: place,
    port: await freePort(),
    repositories,
    more: { policy: { file: policy } },
  });
  const [home, project] = [join(place, 'home'), join(place, 'project')];
  const start = async () => {
    await newHome(home, { registries: { here: `${server.url}/crates` }, replaces: 'here' });
  };
  try {
    await server.start();
    await start();
    await newProject(project, { dependencies: 'judged = "1"', uses: ['judged'] });
    await tally.check('cargo: takes the newest version while no rule is against it', async () => {
      assert.equal(await locked(home, project, 'judged'), '1.2.0');
    });
    const lock = await readFile(join(project, 'Cargo.lock'), 'utf8').catch(() => '');
    await server.stop();
    const rule = { id: 'bad-crate', match: { purl: ['pkg:cargo/judged@1.2.0'] }, action: 'deny', reason: 'it is bad' };
    await writeFile(policy, JSON.stringify({ version: 1, rules: [rule] }));
    await server.start();
    await tally.check('cargo: takes an older version once a rule is against the newest', async () => {
      await start();
      await newProject(project, { dependencies: 'judged = "1"', uses: ['judged'] });
      assert.equal(await locked(home, project, 'judged'), '1.1.0');
    });
    await tally.check('cargo: is told why, where its lockfile has the refused version', async () => {
      await start();
      await newProject(project, { dependencies: 'judged = "1"', uses: ['judged'] });
      await writeFile(join(project, 'Cargo.lock'), lock);
      const result = await runCargo(['fetch', '--locked'], { home, project });
      assert.notEqual(result.code, 0);
      assert.match(
        result.stderr,
        /pkg:cargo\/judged@1\.2\.0 is denied: it is bad \(rule bad-crate\)/,
        outputOf(result),
      );
    });
    await tally.check('cargo: the line of the refused version alone is another', async () => {
      const { body } = await get(`${server.url}/crates/ju/dg/judged`);
      const expected = versions.map(({ line, version }) =>
        version === '1.2.0' ? line.replace('"yanked":false', '"yanked":true') : line,
      );
      assert.equal(body.toString(), `${expected.join('\n')}\n`);
    });
  } finally {
    upstream.crates = before;
    await server.kill();
  }
}

/** Resolves anew, and gives the version that was chosen. @param {string} home @param {string} project @param {string} name */
async function locked(home, project, name) {
  const result = await runCargo(['fetch'], { home, project });
  assert.equal(result.code, 0, outputOf(result));
  const lock = await readFile(join(project, 'Cargo.lock'), 'utf8');
  return new RegExp(`name = "${name}"\nversion = "([^"]+)"`).exec(lock)?.[1];
}

/** A crate that an upstream lies about. */
const VICTIM = { name: 'victim', version: '1.0.0' };
const DOWNLOAD = `/api/v1/crates/${VICTIM.name}/${VICTIM.version}/download`;

/**
 * Lies of an upstream: what of it is sent otherwise.
 * @type {readonly (readonly [string, (path: string, body: Buffer) => Buffer])[]}
 */
const LIES = [
  ['a wrong crate', (path, body) => (path.startsWith('dl/') ? flip(body, 40) : body)],
  [
    'a crate that is another one',
    (path, body) => (path.startsWith('dl/') ? fixtureCrate({ ...VICTIM, filling: 9 }).archive : body),
  ],
  ['a crate that is cut short', (path, body) => (path.startsWith('dl/') ? body.subarray(0, -1) : body)],
  ['an index line with another sum', inIndex((text) => text.replace(/"cksum":"[0-9a-f]{8}/, '"cksum":"00000000'))],
  ['an index line without a sum', inIndex((text) => text.replace(/"cksum":"[0-9a-f]+"/, '"cksum":""'))],
  ['an index line of another crate', inIndex((text) => text.replace('"victim"', '"stranger"'))],
  ['an index that is a page', inIndex(() => '<!doctype html><title>Log in</title>')],
  [
    'a dl that leads to other bytes',
    inConfig((url) => ({ dl: `${url}/dl/root-crate/${versionOf(0)}/download#{crate}` })),
  ],
  ['a dl that leads to this server', inConfig((_url, own) => ({ dl: `${own}/-/readyz?{crate}` }))],
  ['a dl that is a file', inConfig(() => ({ dl: 'file:///etc/passwd?{crate}' }))],
];
/** The URLs of the upstream and of the server, for lies. */
const urls = { upstream: '', server: '' };

/** @param {(text: string) => string} lie @returns {(path: string, body: Buffer) => Buffer} */
function inIndex(lie) {
  return (path, body) => (path === 'vi/ct/victim' ? Buffer.from(lie(body.toString())) : body);
}

/** @param {(upstream: string, server: string) => object} lie @returns {(path: string, body: Buffer) => Buffer} */
function inConfig(lie) {
  return (path, body) => (path === 'config.json' ? Buffer.from(JSON.stringify(lie(urls.upstream, urls.server))) : body);
}

/** @param {Tally} tally @param {string} folder @param {CargoIndex} upstream */
async function tampered(tally, folder, upstream) {
  const before = upstream.crates;
  upstream.crates = [...before, fixtureCrate(VICTIM)];
  const repositories = { crates: { type: 'cargo', upstream: upstream.url, cache: CACHE } };
  try {
    for (const [name, lie] of LIES) {
      await tally.check(`cargo: ${name} is neither served nor kept`, async () => {
        const place = await emptied(join(folder, 'lie'));
        const server = new EntrepotServer({ folder: place, port: await freePort(), repositories });
        Object.assign(urls, { upstream: upstream.url, server: server.url });
        upstream.tamper = lie;
        try {
          await server.start();
          const [home, project] = [join(place, 'home'), join(place, 'project')];
          await newHome(home, { registries: { here: `${server.url}/crates` }, replaces: 'here' });
          await newProject(project, { dependencies: 'victim = "1"', uses: ['victim'] });
          const result = await runCargo(['fetch'], { home, project });
          assert.notEqual(result.code, 0, outputOf(result));
          const asked = await get(`${server.url}/crates${DOWNLOAD}`);
          assert.ok(asked.status >= 400 || !asked.complete, `a refusal was expected, found ${asked.status}`);
          await upstream.stop();
          const kept = await get(`${server.url}/crates${DOWNLOAD}`);
          assert.ok(kept.status >= 400, `nothing was expected to be kept, found ${kept.status}`);
        } finally {
          await server.kill();
          await upstream.stop();
          await upstream.start();
        }
      });
    }
  } finally {
    upstream.tamper = (_path, body) => body;
    upstream.crates = before;
  }
}

/** @param {Buffer} bytes @param {number} at */
function flip(bytes, at) {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
