import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { Content } from '@entrepot/core';
import { FileTable, TableMaker, tableProgram, type NewRow } from '@entrepot/core/formats';
import { packTar } from '@entrepot/core/testing';
import { readIndexRows } from '../src/apk/index-rows.js';
import { readPackageRows } from '../src/deb/package-rows.js';
import { readDatabaseRows } from '../src/pacman/db-rows.js';
import { readPrimaryRows } from '../src/rpm/primary-rows.js';
import { readListed } from '../src/shared/listed.js';
import { rpmPackage, SUM } from './rpm-fixtures.js';

const PACKAGES = 60_000;
/** Packages of one piece. */
const AT_ONCE = 100;

type Rows = (content: Pick<Content, 'stream'>) => AsyncGenerator<NewRow>;

/** Lists of packages: what stands around them, one of them, and the name of its row. */
interface List {
  readonly rows: Rows;
  readonly begin?: string;
  readonly end?: string | Buffer;
  readonly one: (name: string) => string | Buffer;
  readonly path: (name: string) => string;
}

const LISTS: Readonly<Record<string, List>> = {
  rpm: {
    rows: readPrimaryRows,
    begin: '<metadata>',
    end: '</metadata>',
    one: (name) => rpmPackage({ name, location: `<location href="Packages/h/${name}-1.0-3.el9.x86_64.rpm"/>` }),
    path: (name) => `Packages/h/${name}-1.0-3.el9.x86_64.rpm`,
  },
  pacman: {
    rows: readDatabaseRows,
    end: Buffer.alloc(1024),
    one(name) {
      const file = `%FILENAME%\n${name}-1.0-1-x86_64.pkg.tar.zst\n\n%NAME%\n${name}\n\n%VERSION%\n1.0-1\n\n`;
      const more = `%SHA256SUM%\n${SUM}\n\n%ARCH%\nx86_64\n\n%PGPSIG%\n${'c2lnbmF0dXJl'.repeat(30)}\n`;
      return packTar([{ name: `${name}-1.0-1/desc`, content: file + more }], Buffer.alloc(0));
    },
    path: (name) => `${name}-1.0-1-x86_64.pkg.tar.zst`,
  },
  deb: {
    rows: readPackageRows,
    one: (name) =>
      `Package: ${name}\nVersion: 1.0-1\nArchitecture: amd64\nFilename: pool/main/h/${name}_1.0-1_amd64.deb\nSize: 100\nSHA256: ${SUM}\n\n`,
    path: (name) => `pool/main/h/${name}_1.0-1_amd64.deb`,
  },
  apk: {
    rows: readIndexRows,
    one: (name) =>
      `C:Q1${Buffer.alloc(20, name).toString('base64')}\nP:${name}\nV:1.0-r0\nA:x86_64\nS:100\no:${name}\n\n`,
    path: (name) => `${name}-1.0-r0.apk`,
  },
};

/** The pieces of a list of packages. */
function* piecesOf(format: string, { begin = '', one, end = '' }: List): Generator<Buffer> {
  const names = (from: number, count: number) => Array.from({ length: count }, (_, more) => `hello-${from + more}`);
  if (format === 'apk') {
    // An index is one file of an archive.
    const content = names(0, PACKAGES).map(one).join('');
    yield packTar([{ name: 'APKINDEX', content }], Buffer.alloc(0));
    return;
  }
  yield Buffer.from(begin);
  for (let at = 0; at < PACKAGES; at += AT_ONCE)
    yield Buffer.concat(names(at, AT_ONCE).map((name) => Buffer.from(one(name) as string)));
  yield Buffer.from(end as string);
}

it.each(Object.entries(LISTS))(
  'reads 60,000 packages of %s into 4 MB of memory at the most',
  async (format, list) => {
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-rows-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'table');
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield* piecesOf(format, list);
    }
    const started = performance.now();
    const content = { size: 1, mediaType: 'x/y', stream };
    await new TableMaker(() => tableProgram(list.rows)).write(path, format, content, {});
    const table = await FileTable.open(path, format);
    const [memory, disk] = [table.weight / 1e6, statSync(path).size / 1e6];
    console.log(`${format}: ${memory} MB of memory, ${disk} MB on disk, ${Math.round(performance.now() - started)} ms`);
    expect(table.size).toBe(PACKAGES);
    expect(readListed(table.get(list.path('hello-59999')) as Buffer)).toMatchObject({ name: 'hello-59999' });
    expect(memory).toBeLessThan(4);
    table.close();
  },
  60_000,
);
