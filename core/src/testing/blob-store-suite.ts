import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { Readable } from 'node:stream';
import type { BlobOpenOptions, BlobSource, BlobStore } from '../api/blob-store.js';
import type { Digest } from '../api/digest.js';
import { Gate } from './gate.js';
import { NodeTransport } from './node-transport.js';
import { digestOf, pieces, readStream, sampleBytes } from './sample-bytes.js';
import {
  assertFails,
  type Checks,
  defineChecks,
  type DriverFixture,
  failureOf,
  openDriver,
  type SuiteRunner,
} from './suite.js';

/** An empty store, for one check. */
export interface BlobStoreFixture extends DriverFixture<BlobStore> {
  /** The suite disposes of it. */
  readonly store: BlobStore;
}

/** Optional features of a driver. Each is off by default. */
export interface BlobStoreCapabilities {
  readonly signedUrl?: boolean;
  readonly pathOf?: boolean;
  readonly replicas?: boolean;
  readonly outage?: boolean;
}

type OpenFixture = Required<BlobStoreFixture>;

const MULTI = 5 * 1024 * 1024 + 3;
const RANGED = 200_000;

/** Checks the contract of `BlobStore`. `factory` gives a new, empty store for each check. */
export function blobStoreSuite(
  runner: SuiteRunner,
  factory: () => Promise<BlobStoreFixture> | BlobStoreFixture,
  capabilities: BlobStoreCapabilities = {},
): void {
  defineChecks(
    runner,
    'blob store',
    () => openFixture(factory),
    (fixture) => fixture.close(),
    (checks) => {
      defineReading(checks);
      defineWriting(checks);
      defineRefusals(checks);
      defineDeletion(checks);
      defineCapabilities(checks, capabilities);
    },
  );
}

function defineReading({ check }: Checks<OpenFixture>): void {
  check('answers undefined for a blob that is not there', async ({ store }) => {
    const digest = digestOf('never put');
    assert.equal(await store.stat(digest), undefined);
    assert.equal(await store.open(digest), undefined);
    assert.equal(await store.open(digest, { range: { start: 0, end: 0 } }), undefined);
  });

  check('answers undefined for a blob of another size than is wanted', async ({ store }) => {
    const { bytes, digest } = await putSample(store, RANGED);
    assert.equal(await store.open(digest, { size: RANGED - 1 }), undefined);
    assertSame(await read(store, digest, { size: RANGED, range: { start: 5, end: 9 } }), bytes.subarray(5, 10));
  });

  for (const [name, size] of [
    ['an empty blob', 0],
    ['a small blob', 11],
    ['a blob of several MiB', MULTI],
  ] as const) {
    check(`gives back ${name}`, async ({ store }) => {
      const { bytes, digest } = await putSample(store, size);
      assert.deepEqual(await store.stat(digest), { digest, size });
      await assertHolds(store, digest, bytes);
    });
  }

  for (const [name, start, end] of [
    ['the first byte', 0, 0],
    ['the last byte', RANGED - 1, RANGED - 1],
    ['the middle', 1000, 1999],
    ['a piece across a 64 KiB boundary', 65_530, 65_545],
    ['all but the ends', 1, RANGED - 2],
    ['the whole', 0, RANGED - 1],
  ] as const) {
    check(`gives a range: ${name}`, async ({ store }) => {
      const { bytes, digest } = await putSample(store, RANGED);
      assertSame(await read(store, digest, { range: { start, end } }), bytes.subarray(start, end + 1));
    });
  }

  check('serves several readers of one blob at once', async ({ store }) => {
    const { bytes, digest } = await putSample(store, RANGED);
    const streams = await Promise.all(
      [0, 1, 2, 3].map((start) => store.open(digest, { range: { start, end: start + 150_000 } })),
    );
    const read = await Promise.all(streams.map((stream) => readStream(stream as Readable)));
    read.forEach((found, start) => assertSame(found, bytes.subarray(start, start + 150_001)));
  });

  check('is not disturbed by a reader that leaves', async ({ store }) => {
    const { bytes, digest } = await putSample(store, MULTI);
    const stream = await store.open(digest);
    assert.ok(stream !== undefined);
    for await (const chunk of stream) {
      assert.ok((chunk as Buffer).length > 0);
      break;
    }
    assert.ok(stream.destroyed);
    await assertHolds(store, digest, bytes);
  });

  check('fails a read whose signal is aborted, instead of ending it', async ({ store }) => {
    const digest = await put(store, sampleBytes(MULTI));
    const abort = new AbortController();
    const stream = await store.open(digest, { signal: abort.signal });
    assert.ok(stream !== undefined);
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();
    abort.abort();
    const rest = (async () => {
      while ((await iterator.next()).done !== true);
    })();
    assert.ok((await failureOf(rest)) !== undefined, 'expected the stream to fail, found a clean end');
    const late = (async () => readStream((await store.open(digest, { signal: abort.signal })) as Readable))();
    assert.ok((await failureOf(late)) !== undefined, 'expected open to fail for an aborted signal, found a whole blob');
  });

  check('lists every blob once, with its size', async ({ store }) => {
    assert.deepEqual(await listed(store), new Map());
    const expected = new Map<Digest, number>();
    for (let size = 0; size < 30; size += 1) expected.set(await put(store, sampleBytes(size * 100)), size * 100);
    assert.deepEqual(await listed(store), expected);
  });

  check('is ready', async ({ store }) => {
    await store.check();
    await store.check('read');
    assert.deepEqual(await listed(store), new Map(), 'check() must leave no blob behind');
  });
}

function defineWriting({ check }: Checks<OpenFixture>): void {
  check('takes a blob in pieces of any size', async ({ store }) => {
    const { bytes, digest } = sample(10_000);
    await store.put(digest, bytes.length, inPieces(bytes, 7));
    await assertHolds(store, digest, bytes);
  });

  check('takes one blob twice', async ({ store }) => {
    const bytes = sampleBytes(1000);
    await put(store, bytes);
    const digest = await put(store, bytes);
    await assertHolds(store, digest, bytes);
    assert.deepEqual(await listed(store), new Map([[digest, 1000]]));
  });

  check('takes one blob from several callers at once', async ({ store }) => {
    const bytes = sampleBytes(300_000);
    await Promise.all(Array.from({ length: 8 }, () => put(store, bytes)));
    const digest = digestOf(bytes);
    await assertHolds(store, digest, bytes);
    assert.deepEqual(await listed(store), new Map([[digest, 300_000]]));
  });

  check('keeps different blobs apart that are put at once', async ({ store }) => {
    const blobs = Array.from({ length: 8 }, (_, seed) => sampleBytes(100_000, seed + 1));
    await Promise.all(blobs.map((bytes) => put(store, bytes)));
    for (const bytes of blobs) await assertHolds(store, digestOf(bytes), bytes);
  });

  check('shows nothing of a blob before it is whole', async ({ store }) => {
    const { bytes, digest } = sample(RANGED);
    const source = heldSource(bytes);
    const putting = store.put(digest, bytes.length, source);
    await Promise.race([source.halfway, putting]);
    await turn();
    assert.equal(await store.stat(digest), undefined);
    assert.equal(await store.open(digest), undefined);
    assert.deepEqual(await listed(store), new Map());
    source.finish();
    await putting;
    await assertHolds(store, digest, bytes);
  });

  check('destroys the sources that it opened', async ({ store }) => {
    const bytes = sampleBytes(RANGED);
    const good = watched(() => Readable.from([bytes]));
    await store.put(digestOf(bytes), bytes.length, good);
    const long = watched(() => Readable.from(Array.from({ length: 20 }, () => bytes)));
    assert.ok((await failureOf(store.put(digestOf('other'), 10, long))) !== undefined);
    await turn();
    for (const stream of [...good.opened, ...long.opened]) {
      assert.ok(stream.destroyed, 'expected every opened source to be destroyed, found one that is not');
    }
  });

  check('takes a blob from verified bytes', async ({ store }) => {
    const { bytes, digest } = sample(RANGED);
    for (let time = 0; time < 2; time += 1) {
      await store.put(digest, bytes.length, inMemory(bytes));
      await assertHolds(store, digest, bytes);
    }
    const other = digestOf('abcd');
    await assertFails(store.put(other, 4, inMemory(Buffer.from('abc'))), 'integrity', 'bytes of the wrong size');
    await assertAbsent(store, other);
  });

  check('takes many at once, each by itself', async ({ store }) => {
    const many = Array.from({ length: 40 }, (_, n) => Buffer.from(`blob ${n}`));
    const bad = failureOf(store.put(digestOf('bad'), 3, inPieces(Buffer.from('worse'), 2)));
    await Promise.all(many.map((bytes) => store.put(digestOf(bytes), bytes.length, inMemory(bytes))));
    assert.ok((await bad) !== undefined, 'expected the bad one to fail');
    for (const bytes of many) await assertHolds(store, digestOf(bytes), bytes);
    await assertAbsent(store, digestOf('bad'));
  });

  check('takes a blob from a verified file, and leaves the file alone', async ({ store }) => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-suite-'));
    try {
      const { bytes, digest } = sample(RANGED);
      const path = join(directory, 'spooled');
      await writeFile(path, bytes);
      await store.put(digest, bytes.length, { path, open: () => Readable.from([bytes]) });
      assertSame(await readFile(path), bytes);
      await rm(path);
      await assertHolds(store, digest, bytes);
      const short = join(directory, 'short');
      await writeFile(short, 'abc');
      const other = digestOf('abcd');
      const wrongSize = store.put(other, 4, { path: short, open: () => Readable.from([Buffer.from('abc')]) });
      await assertFails(wrongSize, 'integrity', 'a file of the wrong size');
      assert.equal(await store.stat(other), undefined);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
}

function defineRefusals({ check }: Checks<OpenFixture>): void {
  const { bytes, digest } = sample(RANGED);
  const changed = Buffer.from(bytes);
  changed[RANGED - 1] = (changed[RANGED - 1] as number) ^ 1;
  for (const [name, size, sent] of [
    ['the wrong digest', RANGED, changed],
    ['no bytes at all', RANGED, Buffer.alloc(0)],
    ['a byte too few', RANGED, bytes.subarray(0, -1)],
    ['a byte too many', RANGED, Buffer.concat([bytes, Buffer.of(0)])],
    ['the right bytes under a size that is too small', RANGED - 1, bytes],
    ['the right bytes under a size that is too large', RANGED + 1, bytes],
  ] as const) {
    check(`refuses ${name} and keeps nothing`, async ({ store }) => {
      await assertFails(store.put(digest, size, inPieces(sent, 60_000)), 'integrity', name);
      await assertAbsent(store, digest);
      await put(store, bytes);
      await assertHolds(store, digest, bytes);
    });
  }

  check('keeps a blob as it is when wrong bytes are put under its digest', async ({ store }) => {
    await put(store, bytes);
    // A store that has the blob need not read the source, so this may pass or fail.
    await failureOf(store.put(digest, changed.length, inPieces(changed, 60_000)));
    await assertHolds(store, digest, bytes);
  });

  check('keeps nothing of a source that fails half-way', async ({ store }) => {
    function* broken(): Generator<Buffer> {
      yield bytes.subarray(0, 100_000);
      throw new Error('the source broke');
    }
    const putting = failureOf(store.put(digest, RANGED, { open: () => Readable.from(broken()) }));
    assert.ok((await putting) !== undefined, 'expected put to fail, found success');
    await assertAbsent(store, digest);
    await put(store, bytes);
    await assertHolds(store, digest, bytes);
  });

  check('keeps nothing of a put that is aborted', async ({ store }) => {
    const never = failureOf(store.put(digest, RANGED, inPieces(bytes, 60_000), { signal: AbortSignal.abort() }));
    assert.ok((await never) !== undefined, 'expected put to fail for an aborted signal, found success');
    const abort = new AbortController();
    const source = heldSource(bytes);
    const putting = failureOf(store.put(digest, RANGED, source, { signal: abort.signal }));
    await Promise.race([source.halfway, putting]);
    abort.abort();
    assert.ok((await putting) !== undefined, 'expected put to fail when its signal is aborted, found success');
    await assertAbsent(store, digest);
  });
}

function defineDeletion({ check }: Checks<OpenFixture>): void {
  check('deletes one blob, and says whether there was one', async ({ store }) => {
    const kept = sampleBytes(100, 1);
    const bytes = sampleBytes(100, 2);
    await put(store, kept);
    const digest = await put(store, bytes);
    assert.equal(await store.delete(digest), true);
    assert.equal(await store.delete(digest), false);
    await assertAbsent(store, digest);
    await assertHolds(store, digestOf(kept), kept);
    await put(store, bytes);
    await assertHolds(store, digest, bytes);
  });

  check('lets a reader of a deleted blob read to its end', async ({ store }) => {
    const { bytes, digest } = await putSample(store, MULTI);
    const stream = await store.open(digest);
    assert.ok(stream !== undefined);
    const iterator = stream[Symbol.asyncIterator]();
    const chunks = [Buffer.from((await iterator.next()).value as Buffer)];
    assert.equal(await store.delete(digest), true);
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      chunks.push(Buffer.from(next.value as Buffer));
    }
    assertSame(Buffer.concat(chunks), bytes);
    await assertAbsent(store, digest);
  });
}

function defineCapabilities(
  { check, checkIf }: Checks<OpenFixture>,
  { signedUrl = false, pathOf = false, replicas = false, outage = false }: BlobStoreCapabilities,
): void {
  check('says truthfully whether it signs URLs, and whether blobs are files', async ({ store }) => {
    assert.equal(typeof store.signedUrl, signedUrl ? 'function' : 'undefined');
    assert.equal(typeof store.pathOf, pathOf ? 'function' : 'undefined');
  });

  checkIf(pathOf, 'pathOf is off', 'says where the file of a blob is', async ({ store }) => {
    const { bytes, digest } = await putSample(store, RANGED);
    assertSame(await readFile((await store.pathOf?.(digest)) as string), bytes);
    await store.delete(digest);
    assert.equal(await store.pathOf?.(digest), undefined);
  });

  checkIf(signedUrl, 'signedUrl is off', 'serves a blob by a signed URL', async ({ store }) => {
    const { bytes, digest } = await putSample(store, RANGED);
    const url = (await store.signedUrl?.(digest, { ttl: 60_000 })) as URL;
    const transport = new NodeTransport();
    try {
      const { signal } = new AbortController();
      const reply = await transport.send({ method: 'GET', url, headers: {}, allowPrivate: true, signal });
      assert.equal(reply.status, 200);
      assertSame(await readStream(reply.body), bytes);
    } finally {
      await transport.dispose();
    }
  });

  checkIf(replicas, 'replicas is off', 'keeps blobs for the next process', async ({ store, reopen }) => {
    const { bytes, digest } = await putSample(store, RANGED);
    const other = await reopen();
    await assertHolds(other, digest, bytes);
    assert.equal(await other.delete(digest), true);
    await assertAbsent(store, digest);
  });

  checkIf(replicas, 'replicas is off', 'takes one blob from two processes at once', async ({ store, reopen }) => {
    const bytes = sampleBytes(300_000);
    const other = await reopen();
    await Promise.all([store, other, store, other].map((replica) => put(replica, bytes)));
    await assertHolds(store, digestOf(bytes), bytes);
    assert.deepEqual(await listed(other), new Map([[digestOf(bytes), 300_000]]));
  });

  checkIf(outage, 'outage is off', 'calls an outage an error, never an absence', async ({ store, breakDown }) => {
    const { digest } = await putSample(store, RANGED);
    await breakDown();
    await assertFails(store.check(), 'storage', 'check()');
    await assertFails(store.check('read'), 'storage', "check('read')");
    await assertFails(store.stat(digest), 'storage', 'stat()');
    const reading = (async () => readStream((await store.open(digest)) ?? Readable.from([])))();
    await assertFails(reading, 'storage', 'open()');
    await assertFails(put(store, sampleBytes(10, 9)), 'storage', 'put()');
  });
}

async function openFixture(factory: () => Promise<BlobStoreFixture> | BlobStoreFixture): Promise<OpenFixture> {
  const fixture = await factory();
  return { store: fixture.store, ...openDriver(fixture.store, fixture) };
}

interface Sample {
  readonly bytes: Buffer;
  readonly digest: Digest;
}

function sample(size: number): Sample {
  const bytes = sampleBytes(size);
  return { bytes, digest: digestOf(bytes) };
}

async function putSample(store: BlobStore, size: number): Promise<Sample> {
  const made = sample(size);
  await put(store, made.bytes);
  return made;
}

async function put(store: BlobStore, bytes: Buffer): Promise<Digest> {
  const digest = digestOf(bytes);
  await store.put(digest, bytes.length, inPieces(bytes, 64 * 1024));
  return digest;
}

function inPieces(bytes: Buffer, size: number): BlobSource {
  return { open: () => Readable.from(pieces(bytes, size)) };
}

function inMemory(bytes: Buffer): BlobSource {
  return { bytes, open: () => Readable.from([bytes]) };
}

/** Remembers the streams that were opened. */
function watched(open: () => Readable): BlobSource & { readonly opened: Readable[] } {
  const opened: Readable[] = [];
  return {
    opened,
    open() {
      const stream = open();
      opened.push(stream);
      return stream;
    },
  };
}

/** Gives half of `bytes`, and the rest after `finish`. */
function heldSource(bytes: Buffer): BlobSource & { readonly halfway: Promise<void>; finish(): void } {
  const gate = new Gate();
  const half = bytes.length / 2;
  return {
    halfway: gate.reached,
    finish: () => gate.open(),
    open() {
      const parts = [bytes.subarray(0, half), bytes.subarray(half)];
      // Not a generator: one that waits cannot be destroyed.
      return new Readable({
        read() {
          const part = parts.shift();
          if (parts.length === 1) return void this.push(part);
          void gate.pass().then(() => {
            if (part !== undefined) this.push(part);
            else if (!this.readableEnded) this.push(null);
          });
        },
      });
    },
  };
}

async function listed(store: BlobStore): Promise<Map<Digest, number>> {
  const found = new Map<Digest, number>();
  for await (const { digest, size } of store.list()) {
    assert.ok(!found.has(digest), `expected each blob once, found ${digest} again`);
    found.set(digest, size);
  }
  return found;
}

async function assertHolds(store: BlobStore, digest: Digest, bytes: Buffer): Promise<void> {
  assert.deepEqual(await store.stat(digest), { digest, size: bytes.length });
  assertSame(await read(store, digest), bytes);
}

async function read(store: BlobStore, digest: Digest, options?: BlobOpenOptions): Promise<Buffer> {
  const stream = await store.open(digest, options);
  assert.ok(stream !== undefined, 'expected a stream, found undefined');
  return readStream(stream);
}

async function assertAbsent(store: BlobStore, digest: Digest): Promise<void> {
  assert.equal(await store.stat(digest), undefined, 'stat: expected no blob, found one');
  assert.equal(await store.open(digest), undefined, 'open: expected no blob, found one');
  assert.ok(!(await listed(store)).has(digest), 'list: expected no blob, found it');
}

/** Compares without printing megabytes. */
function assertSame(found: Buffer, expected: Buffer): void {
  assert.equal(found.length, expected.length, `expected ${expected.length} bytes, found ${found.length}`);
  assert.ok(found.equals(expected), `expected other bytes of the same length (${expected.length})`);
}
