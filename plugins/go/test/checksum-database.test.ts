import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { silentLogger, type ReadContent, type Resource } from '@entrepot/core';
import { afterAll, describe, expect, it } from 'vitest';
import { Gate } from '@entrepot/core/testing';
import { ChecksumDatabase } from '../src/checksum-database.js';
import { CLASSES } from '../src/classes.js';
import { parseDatabase } from '../src/database-setting.js';
import { hashInRecord, openNote, parseVerifierKey, ProofError } from '../src/note.js';
import type { GoProxy } from '../src/routes.js';
import { edgeTiles, parseTilePath, rootFromEdge, tilePath, type Tile } from '../src/tile.js';
import { fixture, GoDatabase, goModule, openGo, zipHash, type Answer, type GoRepository } from './fixtures.js';

const ZIP = 'example.com/one/@v/v1.0.0.zip';
const MOD = 'example.com/one/@v/v1.0.0.mod';
const LOOKUP = 'sumdb/sumdb.test/lookup/example.com/one@v1.0.0';

type Tampering = (setting: GoRepository) => (path: string, answer: Answer) => Answer;

/** Changes the answers whose path matches. */
const change =
  (matches: RegExp, edit: (body: Buffer, setting: GoRepository) => Buffer | string): Tampering =>
  (setting) =>
  (path, answer) =>
    answer !== undefined && matches.test(path) ? { ...answer, body: edit(Buffer.from(answer.body), setting) } : answer;

const flipped = (body: Buffer, at: number): Buffer => {
  const copy = Buffer.from(body);
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
};
const lines = (body: Buffer): string[] => body.toString().split('\n');

const altered = (body: Buffer, before: string): Buffer => flipped(body, body.indexOf(before) + before.length + 8);
const tileAt = (database: GoDatabase, path: string): Buffer => database.tile(path) as Buffer;

/** A lookup that is made of any text, with a head that is signed by the right key. */
const withText = (id: number, text: string, { database }: GoRepository): string => `${id}\n${text}\n${database.head()}`;
const EVIL = 'h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';
const evilLines = `example.com/one v1.0.0 ${EVIL}\nexample.com/one v1.0.0/go.mod ${EVIL}\n`;

const TOO_LARGE = 'a note of more than a megabyte';

/** Replies of an attacker or a broken mirror. Every row must be refused, and nothing stored. */
const ROWS: readonly (readonly [string, Tampering, string?])[] = [
  ['another go.mod', change(/one.*v1\.0\.0\.mod$/, (body) => Buffer.concat([body, Buffer.from('\n')])), MOD],
  ['a page in place of the go.mod', change(/v1\.0\.0\.mod$/, () => '<html>Sign in</html>'), MOD],
  ['an empty go.mod', change(/v1\.0\.0\.mod$/, () => ''), MOD],
  ['a checksum altered for the go.mod alone', change(/lookup/, (body) => altered(body, 'v1.0.0/go.mod ')), MOD],
  ['an empty zip', change(/v1\.0\.0\.zip$/, () => '')],
  ['a page in place of the zip', change(/v1\.0\.0\.zip$/, () => '<html>Sign in</html>')],
  ['another zip', change(/one.*v1\.0\.0\.zip$/, (_, { modules }) => (modules[1] as { zip: Buffer }).zip)],
  ['a bit flipped in the zip', change(/v1\.0\.0\.zip$/, (body) => flipped(body, 60))],
  ['an unsigned record', change(/lookup/, (body) => lines(body).slice(0, -2).join('\n'))],
  ['a signature flipped', change(/lookup/, (body) => flipped(body, body.length - 6))],
  [
    'a signature of another key',
    change(/lookup/, (body) =>
      body
        .toString()
        .replace(/sumdb\.test [^\n]+\n$/, (line) => new GoDatabase().sign('x\n').slice(3, 3 + line.length)),
    ),
  ],
  [
    'a signature of another name',
    change(/lookup/, (body) => body.toString().replace('\u2014 sumdb.test', '\u2014 other.test')),
  ],
  [
    'a checksum altered in the record',
    change(/lookup/, (body) => body.toString().replace('h1:', 'h1:A').replace('A=', '=')),
  ],
  [
    'an unrelated, validly signed record',
    (setting) => (path, answer) =>
      path.includes('lookup') ? { body: setting.database.lookup('example.com/one@v1.1.0') ?? '' } : answer,
  ],
  ['an empty record', change(/lookup/, (_, setting) => withText(0, '', setting))],
  ['an empty body', change(/lookup/, () => '')],
  [
    'a record without our lines',
    change(/lookup/, (_, setting) => withText(0, setting.database.records[0] as string, setting)),
  ],
  ['a forged record under a true id', change(/lookup/, (_, setting) => withText(300, evilLines, setting))],
  [
    'a record id beyond the tree',
    change(/lookup/, (body, { database }) => body.toString().replace(/^\d+/, String(database.size))),
  ],
  [
    'a record of the zip alone',
    change(/lookup/, (_, setting) => withText(300, `example.com/one v1.0.0 ${EVIL}\n`, setting)),
  ],
  ['an id that is no number', change(/lookup/, (body) => body.toString().replace(/^\d+/, '0x12c'))],
  ['an id beyond all numbers', change(/lookup/, (body) => body.toString().replace(/^\d+/, '9'.repeat(30)))],
  [TOO_LARGE, change(/lookup/, (body) => `${body.toString()}\u2014 x ${'A'.repeat(1_000_000)}\n`)],
  ['a control character in the note', change(/lookup/, (body) => body.toString().replace('go.sum', 'go\u0001sum'))],
  ['the id of another record', change(/lookup/, (body) => body.toString().replace(/^\d+/, '3'))],
  ['a negative id', change(/lookup/, (body) => body.toString().replace(/^\d+/, '-1'))],
  [
    'hashes hidden in more lines of the note',
    change(
      /lookup/,
      (_, { database }) =>
        `300\n${database.records[0]}\n${database.sign(`go.sum database tree\n${database.size}\n${database.root().toString('base64')}\n${evilLines}`)}`,
    ),
  ],
  [
    'hashes hidden in an unknown signature',
    change(/lookup/, (_, { database }) => `0\n${database.records[0]}\n${database.head()}\u2014 evil AAAAAAAA\n`),
  ],
  [
    'two checksums for one file',
    change(/lookup/, (_, setting) => withText(300, `${setting.database.records[300]}${evilLines}`, setting)),
  ],
  ['a page in place of the record', change(/lookup/, () => '<html>Sign in</html>')],
  ['a bit flipped in a leaf tile', change(/tile\/8\/0\/001/, (body) => flipped(body, 40 * 32))],
  ['a bit flipped in an edge tile', change(/tile\/8\/1\//, (body) => flipped(body, 3))],
  [
    'a forged pair of tiles under a true root',
    (setting) => {
      const forged = createHash('sha256').update(Buffer.of(0)).update(evilLines).digest();
      return (path, answer) => {
        if (path.includes('lookup')) return { body: withText(300, evilLines, setting) };
        if (answer === undefined || !path.includes('tile/8/0/001')) return answer;
        const body = Buffer.from(answer.body);
        forged.copy(body, 44 * 32);
        return { ...answer, body };
      };
    },
  ],
  [
    'a tile with another one in its place',
    change(/tile\/8\/0\/001/, (_, { database }) => tileAt(database, 'tile/8/0/002')),
  ],
  ['an empty tile', change(/tile/, () => '')],
  ['a page in place of the tiles', change(/tile/, () => '<html>Sign in</html>')],
  ['a short tile', change(/tile\/8\/0\//, (body) => body.subarray(0, -32))],
  ['a tile with more than it should have', change(/tile/, (body) => Buffer.concat([body, body]))],
  [
    'a tree with another root',
    (setting) => {
      const other = new GoDatabase();
      return (path, answer) =>
        path.includes('lookup')
          ? {
              body: `${setting.database.lookup('example.com/one@v1.0.0')}`.replace(
                /\n\ngo\.sum[^]*$/,
                `\n\n${setting.database.head(setting.database.size - 1, other.root())}`,
              ),
            }
          : answer;
    },
  ],
  ['a page in place of head and record', change(/latest|lookup/, () => '<html>Sign in</html>')],
  [
    'a tree without a record',
    (setting) => (path, answer) =>
      path.includes('lookup') ? { body: `0\n${setting.database.records[300]}\n${setting.database.head(0)}` } : answer,
  ],
  ['a head that is forged', change(/latest/, (body) => flipped(body, 25))],
];

const CASES = ROWS.map(([name, tampering, wanted = ZIP]) => ({ name, tampering, wanted }));

describe('tampering', () => {
  const table: string[] = [];
  afterAll(() => console.log(`tampering                                    status  kept\n${table.join('\n')}`));

  it.each(CASES)('$name is refused and nothing of it is kept', async ({ name, tampering, wanted }) => {
    const setting = await openGo();
    setting.tamper(tampering(setting));
    const reply = await setting.get(`/${wanted}`);
    const kept = await setting.repository.entries.find('test', wanted);
    table.push(`${name.padEnd(44)} ${reply.status}     ${kept === undefined ? 'no' : 'YES'}`);
    expect(reply.status).toBe(502);
    expect(kept).toBeUndefined();
    // Whoever asks for what was altered is not given it either.
    const altered = await setting.get(`/${LOOKUP}`);
    const record = setting.database.lookup('example.com/one@v1.0.0') as string;
    if (altered.status === 200) expect(altered.body.toString().split('\n\n')[0]).toBe(record.split('\n\n')[0]);
    else expect(altered.status).toBe(502);
    // Nothing bad was kept: with an honest upstream all is well.
    setting.tamper((_, answer) => answer);
    setting.repository.clock.advance(120_000);
    const honest = await setting.get(`/${wanted}`);
    expect([honest.status, honest.error]).toEqual([200, undefined]);
    expect((await setting.get(`/${LOOKUP}`)).body.toString()).toBe(record);
  });
});

/** The status of a reply, without waiting for what else is fetched. */
async function statusAtOnce({ engine, baseUrl }: GoRepository['repository'], path: string): Promise<number> {
  const request = { method: 'GET', rawPath: path, rawQuery: '', header: () => undefined, body: Readable.from([]) };
  return (await engine.handle({ ...request, baseUrl, signal: new AbortController().signal })).status;
}

describe('a proof that fails', () => {
  it.each(CASES)('for $name says nothing of an immediate retry', async ({ name, tampering, wanted }) => {
    const setting = await openGo();
    setting.tamper(tampering(setting));
    expect(await statusAtOnce(setting.repository, `/${wanted}`)).toBe(502);
    setting.tamper((_path, answer) => answer);
    // A body beyond its limit is not asked for again for a moment: it would be fetched whole each time.
    if (name === TOO_LARGE) setting.repository.clock.advance(5000);
    expect(await statusAtOnce(setting.repository, `/${wanted}`)).toBe(200);
  });

  it('leaves nothing behind that an immediate retry could fail on', async () => {
    const { repository, tamper } = await openGo();
    const slow = new Gate();
    tamper(async (path, answer) => {
      if (path.includes('tile/8/0/003')) return { status: 503, body: 'down' };
      if (answer === undefined || !path.includes('tile/8/1/')) return answer;
      await slow.pass();
      return { ...answer, body: flipped(Buffer.from(answer.body), 3) };
    });
    expect(await statusAtOnce(repository, `/${ZIP}`)).toBe(502);
    tamper((_, answer) => answer);
    const retry = statusAtOnce(repository, `/${ZIP}`);
    slow.open();
    expect(await retry).toBe(200);
  });
});

describe('the database', () => {
  it('is served as the database itself would, and verified', async () => {
    const { get, database } = await openGo();
    expect(await get('/sumdb/sumdb.test/supported')).toMatchObject({ status: 200 });
    expect((await get('/sumdb/sumdb.test/latest')).body.toString()).toBe(database.head());
    for (const path of [
      'tile/8/0/000',
      'tile/8/0/002',
      'tile/8/0/000.p/7',
      'tile/8/1/000.p/3',
      'tile/8/0/003.p/44',
      'tile/8/data/000',
      'tile/8/data/003.p/44',
    ]) {
      const reply = await get(`/sumdb/sumdb.test/${path}`);
      expect([path, reply.status]).toEqual([path, 200]);
      expect(reply.body.equals(database.tile(path) as Buffer)).toBe(true);
    }
    expect((await get('/sumdb/sumdb.test/tile/8/0/009')).status).toBe(404);
  });

  it('may be one of several: clients ask any, and modules are verified with the first', async () => {
    const other = new GoDatabase('sums.test/v2');
    other.fill(400);
    const setting = await openGo(({ verifierKey }) => ({ sumdb: [verifierKey, other.verifierKey] }));
    const { get, database, asked, repository, tamper } = setting;
    const under = 'sumdb/sums.test/v2/';
    const answer = (path: string): string | Buffer =>
      path === 'latest' ? other.head() : path.startsWith('tile/') ? (other.tile(path) as Buffer) : '';
    tamper((path, found) => (path.startsWith(under) ? { body: answer(path.slice(under.length)) } : found));
    for (const one of [database, other]) {
      expect((await get(`/sumdb/${one.name}/supported`)).status).toBe(200);
      expect((await get(`/sumdb/${one.name}/latest`)).body.toString()).toBe(one.head());
      const tile = await get(`/sumdb/${one.name}/tile/8/0/000`);
      expect(tile.body.equals(one.tile('tile/8/0/000') as Buffer)).toBe(true);
    }
    asked.length = 0;
    expect(await statusAtOnce(repository, `/${ZIP}`)).toBe(200);
    expect(asked.filter((path) => path.startsWith(under))).toEqual([]);
    tamper((path, found) => (path.startsWith(under) ? { body: database.head() } : found));
    repository.clock.advance(61_000);
    expect((await get('/sumdb/sums.test/v2/tile/8/0/001')).status).toBe(502);
  });

  it('verifies modules also where clients may not ask it here', async () => {
    const { get, repository, tamper } = await openGo({ serveSumdb: false });
    for (const path of ['supported', 'latest', 'tile/8/0/000', 'lookup/example.com/one@v1.0.0'])
      expect([path, (await get(`/sumdb/sumdb.test/${path}`)).status]).toEqual([path, 404]);
    tamper(change(/lookup/, (body) => altered(body, 'one v1.0.0 '))({} as GoRepository));
    expect(await statusAtOnce(repository, `/${ZIP}`)).toBe(502);
    tamper((_, found) => found);
    expect(await statusAtOnce(repository, `/${ZIP}`)).toBe(200);
  });

  it('answers lookups with the newest head, so that one tree is all that clients need', async () => {
    const { get, database, tamper } = await openGo();
    const size = 320;
    tamper((path, answer) =>
      path.endsWith('one@v1.0.0') ? { body: database.lookup('example.com/one@v1.0.0', size) as string } : answer,
    );
    expect((await get(`/${LOOKUP}`)).body.toString()).toBe(database.lookup('example.com/one@v1.0.0'));
  });

  it('follows a tree that grows, past full tiles, and never goes back', async () => {
    const { get, database, repository, tamper } = await openGo();
    await get(`/${LOOKUP}`);
    const old = database.head();
    for (const count of [1, 203, 1, 300, 65_000]) {
      database.fill(count);
      repository.clock.advance(120_000);
      expect((await get('/sumdb/sumdb.test/latest')).body.toString()).toBe(database.head());
      expect(await get('/sumdb/sumdb.test/lookup/example.com/late@v0.1.0')).toMatchObject({ status: 200 });
    }
    tamper((path, answer) => (path.endsWith('latest') ? { body: old } : answer));
    repository.clock.advance(120_000);
    const reply = await get('/sumdb/sumdb.test/latest');
    expect(reply).toMatchObject({ status: 200, outcome: 'stale' });
    expect(reply.body.toString()).toBe(database.head());
  });

  it('takes a record of a tree that is newer than the head that it has', async () => {
    const { get, database, modules } = await openGo();
    await get(`/${LOOKUP}`);
    database.fill(300);
    modules.push(goModule({ path: 'example.com/new', version: 'v1.0.0', database }));
    const reply = await get('/sumdb/sumdb.test/lookup/example.com/new@v1.0.0');
    expect(reply.body.toString()).toBe(database.lookup('example.com/new@v1.0.0'));
    expect(await get('/example.com/new/@v/v1.0.0.zip')).toMatchObject({ status: 200 });
  });

  it('gives a record soon after it was published', async () => {
    const { get, database, modules, repository } = await openGo();
    const path = '/sumdb/sumdb.test/lookup/example.com/new@v1.0.0';
    expect((await get(path)).status).toBe(404);
    modules.push(goModule({ path: 'example.com/new', version: 'v1.0.0', database }));
    repository.clock.advance(30_000);
    expect((await get(path)).status).toBe(200);
  });

  it('takes a head with more signatures than its own, as while keys change', async () => {
    const { get, database, tamper } = await openGo();
    const other = new GoDatabase('other.test').sign('x\n').split('\n').at(-2);
    tamper((path, answer) =>
      /latest$|lookup/.test(path) && answer ? { body: `${answer.body.toString()}${other}\n` } : answer,
    );
    // Only what was verified is passed on.
    expect((await get('/sumdb/sumdb.test/latest')).body.toString()).toBe(database.head());
    expect((await get(`/${LOOKUP}`)).body.toString()).toBe(database.lookup('example.com/one@v1.0.0'));
  });

  it('refuses a zip with another go.mod than the record has, though the record has the zip', async () => {
    const { get, database, modules } = await openGo();
    const [name, version] = ['example.com/torn', 'v1.0.0'];
    const torn = goModule({ path: name, version, files: { 'a.go': 'package a' } });
    const sum = await zipHash(torn.zip, name, version);
    database.add(`${name} ${version} ${sum}\n${name} ${version}/go.mod ${EVIL}\n`, `${name}@${version}`);
    modules.push(torn);
    expect((await get(`/${name}/@v/${version}.zip`)).body.toString()).toContain('the go.mod in the zip');
    expect((await get(`/${name}/@v/${version}.mod`)).status).toBe(502);
  });

  it('keeps what the upstream has, where it has not all of a version', async () => {
    const { get, tamper } = await openGo();
    tamper((path, answer) => (path.endsWith('.zip') ? undefined : answer));
    expect((await get(`/${MOD}`)).status).toBe(200);
    expect((await get(`/${ZIP}`)).status).toBe(404);
  });

  it('refuses a fork of the tree', async () => {
    const { get, database, repository, tamper } = await openGo();
    await get(`/${LOOKUP}`);
    repository.clock.advance(120_000);
    tamper((path, answer) =>
      path.endsWith('latest') ? { body: database.head(database.size, Buffer.alloc(32, 7)) } : answer,
    );
    expect((await get('/sumdb/sumdb.test/latest')).status).toBe(502);
    tamper((path, answer) =>
      path.endsWith('latest') ? { body: database.head(database.size - 3, Buffer.alloc(32, 7)) } : answer,
    );
    expect((await get('/sumdb/sumdb.test/lookup/example.com/late@v0.1.0')).status).toBe(200);
  });

  it('does not take up a head that its tiles do not prove', async () => {
    const { get, database, tamper } = await openGo();
    const forged = database.head(database.size + 5, Buffer.alloc(32));
    tamper((path, answer) => (path.endsWith('latest') ? { body: forged } : answer));
    expect((await get(`/${LOOKUP}`)).body.toString()).toBe(database.lookup('example.com/one@v1.0.0'));
    expect((await get('/sumdb/sumdb.test/latest')).status).toBe(502);
  });

  it('needs the full tile where the partial one has gone', async () => {
    const { get, database, tamper } = await openGo();
    database.fill(1024 - database.size);
    tamper((path, answer) => (path.includes('.p/') && !path.includes('tile/8/1/') ? undefined : answer));
    expect(await get(`/${LOOKUP}`)).toMatchObject({ status: 200 });
  });

  it('is not asked for what is kept, by a process that has just started', async () => {
    const { database } = fixture();
    const wanted: unknown[] = [];
    const resources = {
      tile: (tile: Tile) => ({ class: 'checksum-tile', key: tilePath(tile) }),
      head: (anyAge?: boolean) => ({ class: 'checksum-head', key: 'latest', attributes: { anyAge } }),
    };
    const fresh = new ChecksumDatabase(parseVerifierKey(database.verifierKey), resources, silentLogger);
    const read = async (resource: Resource): Promise<ReadContent> => {
      if (resource.key === 'latest')
        wanted.push(CLASSES['checksum-head'].cache?.except?.(resource, {} as GoProxy)?.freshFor);
      const bytes = database.answer(resource.key) as Buffer;
      return {
        size: bytes.length,
        mediaType: 'text/plain',
        stream: async function* stream() {
          yield bytes;
        },
        bytes: async () => bytes,
        headers: {},
      };
    };
    const reply = Buffer.from(database.lookup('example.com/one@v1.0.0', 400) as string);
    const record = await fresh.checkLookup(reply, 'example.com/one', 'v1.0.0', read);
    expect(wanted).toEqual([Infinity]);
    expect(fresh.freshReply(record)).toBe(database.lookup('example.com/one@v1.0.0'));
  });

  it('is asked once for many who want the same', async () => {
    const { get, asked } = await openGo();
    await Promise.all(Array.from({ length: 50 }, () => get(`/${ZIP}`)));
    expect(new Set(asked).size).toBe(asked.length);
  });

  it('says what to do about a module that it does not know', async () => {
    const { get, tamper } = await openGo();
    tamper((path, answer) => (path.includes('lookup') ? undefined : answer));
    const reply = await get('/example.com/one/@v/v1.0.0.mod');
    expect(reply.status).toBe(502);
    expect(reply.body.toString()).toContain('list it under "unverified" or "private"');
  });

  it.each([0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_001])(
    'computes the root of %d records from its edge',
    (size) => {
      const database = new GoDatabase();
      database.fill(size);
      const edge = edgeTiles(size).map((tile) => database.tile(tilePath(tile)) as Buffer);
      const root = rootFromEdge(size, edge);
      expect(root.equals(database.root())).toBe(true);
      expect(edgeTiles(size).every(({ width }) => width < 256)).toBe(true);
    },
  );
});

describe('notes, keys and paths', () => {
  // The example of the note package's documentation.
  const KEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
  const NOTE =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

  it('verifies the published example', () => {
    expect(openNote(Buffer.from(NOTE), parseVerifierKey(KEY)).text).toBe(NOTE.split('\n\n')[0] + '\n');
    for (const broken of [
      NOTE.replace('answer', 'Answer'),
      NOTE.slice(0, -1),
      NOTE.replace('x08g', 'x09g'),
      `${NOTE}x`,
      '',
    ]) {
      expect(() => openNote(Buffer.from(broken), parseVerifierKey(KEY))).toThrow(ProofError);
    }
  });

  it('knows the key that go knows', () => {
    const setting = parseDatabase('sum.golang.org');
    expect(setting).toMatchObject({ verifier: { name: 'sum.golang.org', hash: '033de0ae' } });
    expect(parseDatabase('off')).toBeUndefined();
    for (const bad of ['unknown.example', 'a+b', 'a+00000000+AAAA', KEY.replace('c74f', 'c74e')]) {
      expect(() => parseDatabase(bad)).toThrow(ProofError);
    }
    expect(parseDatabase(`${KEY} https://sums.example.com/`)?.url).toBe('https://sums.example.com');
  });

  it('reads and prints tile paths, each in one spelling', () => {
    expect(tilePath({ level: 4, index: 1_234_067, width: 1 })).toBe('tile/8/4/x001/x234/067.p/1');
    for (let at = 0; at < 2000; at += 1) {
      const tile = { level: at % 5, index: (at * 7_919_777) % 10_000_000_000, width: (at % 256) + 1 };
      expect(parseTilePath(tilePath(tile))).toEqual(tile);
    }
    for (const bad of [
      'tile/8/0/1',
      'tile/8/0/x000/001',
      'tile/8/00/001',
      'tile/8/0/001.p/0',
      'tile/8/0/001.p/257',
      'tile/8/0/001.p/01',
      'tile/8/-1/001',
      'tile/8/64/001',
      'tile/7/0/001',
    ]) {
      expect(parseTilePath(bad)).toBeUndefined();
    }
  });

  it('takes checksums only from lines of exactly one form', () => {
    const hash = 'h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=';
    expect(hashInRecord(`a.test/m v1.0.0 ${hash}\n`, 'a.test/m', 'v1.0.0')).toBe(hash);
    for (const text of [
      '',
      `a.test/m  v1.0.0 ${hash}\n`,
      ` a.test/m v1.0.0 ${hash}\n`,
      `a.test/m v1.0.0 ${hash} x\n`,
      `a.test/m v1.0.0/go.mod ${hash}\n`,
      'a.test/m v1.0.0 h2:AAAA\n',
      `a.test/m v1.0.0 ${hash}\na.test/m v1.0.0 ${hash}\n`,
    ]) {
      expect(() => hashInRecord(text, 'a.test/m', 'v1.0.0')).toThrow(ProofError);
    }
  });
});
