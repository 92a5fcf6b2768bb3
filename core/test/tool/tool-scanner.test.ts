import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Batches, mergeFindings, softwareList, subjectUrl } from '../../src/tool/index.js';
import { DatabaseFolder } from '../../src/tool/database-folder.js';
import type { Finding, ScanSubject } from '../../src/index.js';

const live = (): AbortSignal => new AbortController().signal;

describe('batches', () => {
  const batchesOf = (run: (subjects: readonly number[], signal: AbortSignal) => Promise<readonly (number | Error)[]>) =>
    new Batches({ size: 3, gather: 1, timeout: 60_000, run });

  it('hold at most their size, one after another', async () => {
    const seen: (readonly number[])[] = [];
    const batches = batchesOf(async (subjects) => {
      seen.push(subjects);
      return subjects.map((each) => each * 10);
    });

    const results = await Promise.all([1, 2, 3, 4, 5].map((each) => batches.add(each, live())));

    expect(results).toEqual([10, 20, 30, 40, 50]);
    expect(seen).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  it('give each its own error, and all of them one that is thrown', async () => {
    const batches = batchesOf(async (subjects) => {
      if (subjects.includes(9)) throw new Error('all of them');
      return subjects.map((each) => (each === 2 ? new Error('the second') : each));
    });

    const apart = await Promise.allSettled([1, 2].map((each) => batches.add(each, live())));
    const together = await Promise.allSettled([8, 9].map((each) => batches.add(each, live())));

    expect(apart).toMatchObject([{ value: 1 }, { reason: { message: 'the second' } }]);
    expect(together).toMatchObject([{ reason: { message: 'all of them' } }, { reason: { message: 'all of them' } }]);
  });

  it('end when the last one leaves, and go on with what came meanwhile', async () => {
    const signals: AbortSignal[] = [];
    let isFirst = true;
    const { promise: started, resolve: start } = promiseOf();
    const batches = batchesOf(async (subjects, signal) => {
      signals.push(signal);
      if (!isFirst) return subjects;
      isFirst = false;
      start();
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('ended'))));
    });
    const aborts = [new AbortController(), new AbortController()];

    const leaving = aborts.map((abort, at) => batches.add(at, abort.signal));
    await started;
    const later = batches.add(7, live());
    aborts[0]?.abort(new Error('one'));
    const afterOne = signals[0]?.aborted;
    aborts[1]?.abort(new Error('two'));

    expect(await Promise.allSettled(leaving)).toMatchObject([
      { reason: { message: 'one' } },
      { reason: { message: 'two' } },
    ]);
    expect(afterOne).toBe(false);
    expect(signals[0]?.aborted).toBe(true);
    await expect(later).resolves.toBe(7);
  });
});

describe('findings', () => {
  const finding = (id: string, more: Partial<Finding> = {}): Finding => ({
    id,
    aliases: [],
    severity: 'low',
    fixedIn: [],
    source: 'test',
    ...more,
  });

  it('that share a name are one, as bad as the worst', () => {
    const merged = mergeFindings([
      finding('CVE-1', { fixedIn: ['2'], epss: 0.1, confidence: 'cpe' }),
      finding('CVE-2'),
      finding('GHSA-1', { aliases: ['CVE-1'], severity: 'high', fixedIn: ['2', '3'], exploited: true }),
    ]);

    expect(merged).toHaveLength(2);
    expect(merged.find(({ id, aliases }) => [id, ...aliases].includes('CVE-1'))).toMatchObject({
      severity: 'high',
      epss: 0.1,
      exploited: true,
      confidence: 'exact',
      fixedIn: ['3', '2'].sort(),
    });
  });

  it('are told apart by component, and joined through a third', () => {
    expect(mergeFindings([finding('CVE-1', { component: 'a' }), finding('CVE-1', { component: 'b' })])).toHaveLength(2);
    expect(
      mergeFindings([finding('A'), finding('B'), finding('C', { aliases: ['A', 'B'] }), finding('B')]),
    ).toHaveLength(1);
  });
});

describe('a list of software', () => {
  const deb: ScanSubject = {
    coordinates: { ecosystem: 'deb', name: 'libssl3', version: '1:3.0~a+b' },
    qualifiers: { upstream: 'openssl@1', distro: 'debian-12' },
  };

  it('names packages by their URLs, and has a reference for each', () => {
    const subject = { coordinates: { ecosystem: 'npm', name: '@babel/core', version: '7.0.0' } };
    const list = JSON.parse(softwareList([subject, subject])) as { components: { 'bom-ref': string; purl: string }[] };

    expect(list.components.map(({ purl }) => purl)).toEqual(Array(2).fill('pkg:npm/%40babel/core@7.0.0'));
    expect(new Set(list.components.map((each) => each['bom-ref'])).size).toBe(2);
  });

  it('says of which distribution its packages are', () => {
    const list = JSON.parse(softwareList([deb], { distribution: { name: 'debian', version: '12' } })) as object;

    expect(subjectUrl(deb)).toBe('pkg:deb/debian/libssl3@1:3.0~a%2Bb?distro=debian-12&upstream=openssl%401');
    expect(list).toMatchObject({ components: [{}, { type: 'operating-system', name: 'debian', version: '12' }] });
  });
});

describe('the folder of a database', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'database-folder-'));
  });

  afterEach(() => rm(root, { recursive: true, force: true }));

  it('is what somebody else keeps, until a revision is downloaded', async () => {
    const folder = new DatabaseFolder(root);
    expect(await folder.current()).toBe(root);

    await folder.replace((place) => writeFile(join(place, 'database'), 'one').then(() => true));

    expect(await readFile(join(await folder.current(), 'database'), 'utf8')).toBe('one');
  });

  it('keeps the revision that runs may still read, and no older one', async () => {
    const folder = new DatabaseFolder(root);
    const places: string[] = [];
    for (const text of ['one', 'two', 'three']) {
      await folder.replace((place) => writeFile(join(place, 'database'), text).then(() => true));
      places.push(await folder.current());
    }

    expect(await readdir(join(root, 'revisions'))).toHaveLength(2);
    expect(await readFile(join(places[1] as string, 'database'), 'utf8')).toBe('two');
    expect(await readFile(join(places[2] as string, 'database'), 'utf8')).toBe('three');
  });

  it('has not changed when a download fails half-way, or brings nothing', async () => {
    const folder = new DatabaseFolder(root);
    const fail = async (place: string): Promise<never> => {
      await mkdir(join(place, 'half'));
      throw new Error('the network is gone');
    };

    await expect(folder.replace(fail)).rejects.toThrow('the network is gone');
    await folder.replace(async () => false);

    expect(await folder.current()).toBe(root);
    expect(await readdir(join(root, 'revisions'))).toEqual([]);
  });
});

function promiseOf(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
