import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { describe } from 'vitest';
import { type BlobSource, type BlobStore, type Digest, EntrepotError } from '@entrepot/core';
import { type BlobStoreFixture, blobStoreSuite, digestOf, MemoryBlobStore, readStream } from '@entrepot/core/testing';
import { type Mutant, mutate, testMutants } from './mutants.js';

type Wrong = (right: BlobStore) => Partial<BlobStore>;
type Factory = () => Promise<BlobStoreFixture>;

/** A memory store that can do everything that the suite can ask for; `wrong` goes round each of its replicas. */
function factory(wrong: Wrong = () => ({}), apart: 'shared' | 'apart' = 'shared'): Factory {
  return async () => {
    const shared = new MemoryBlobStore();
    const file = join(tmpdir(), `entrepot-blob-${randomUUID()}`);
    let down = false;
    const server = createServer((request, response) => {
      void shared.open(`sha256:${request.url?.slice(1)}`).then((stream) => stream?.pipe(response));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const open = (right: BlobStore): BlobStore => {
      const signing = mutate(right, () => ({
        signedUrl: async (digest: Digest) =>
          new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${digest.slice(7)}`),
        async pathOf(digest: Digest) {
          const stream = await right.open(digest);
          if (stream === undefined) return undefined;
          await writeFile(file, stream);
          return file;
        },
        dispose: async () => {},
      }));
      const breakable = new Proxy(signing, {
        get(target, name) {
          const value = Reflect.get(target, name) as unknown;
          if (!down || name === 'dispose' || typeof value !== 'function') return value;
          return async () => {
            throw new EntrepotError('storage', 'the disk is gone');
          };
        },
      });
      return mutate(breakable, wrong);
    };
    return {
      store: open(shared),
      reopen: async () => open(apart === 'apart' ? new MemoryBlobStore() : shared),
      breakDown: async () => {
        down = true;
      },
      close: async () => {
        server.closeAllConnections();
        server.close();
        await rm(file, { force: true });
      },
    };
  };
}

async function collect(source: BlobSource): Promise<Buffer> {
  return readStream(source.open());
}

function sourceOf(bytes: Buffer): BlobSource {
  return { open: () => Readable.from([bytes]) };
}

/** Puts whatever it is given under the digest that it is told. */
function gullible(
  right: BlobStore,
  accepts: (digest: Digest, size: number, bytes: Buffer) => boolean,
): Partial<BlobStore> {
  const aliases = new Map<Digest, Digest>();
  return {
    async put(digest, size, source, options) {
      if (options?.signal !== undefined || source.path !== undefined) return right.put(digest, size, source, options);
      const bytes = await collect(source);
      if (!accepts(digest, size, bytes)) throw new EntrepotError('integrity', 'refused');
      aliases.set(digest, digestOf(bytes));
      await right.put(digestOf(bytes), bytes.length, sourceOf(bytes));
    },
    stat: async (digest) => {
      const found = await right.stat(aliases.get(digest) ?? digest);
      return found && { ...found, digest };
    },
    open: async (digest, options) => right.open(aliases.get(digest) ?? digest, options),
  };
}

const mutants: Mutant<Factory>[] = [
  mutant(
    'drops the last byte',
    ['gives back a small blob', 'gives back a blob of several MiB', 'takes a blob in pieces'],
    (right) => ({
      async open(digest, options) {
        const info = await right.stat(digest);
        const end = (options?.range?.end ?? (info?.size ?? 0) - 1) - 1;
        return end < 0
          ? right.open(digest, options)
          : right.open(digest, { ...options, range: { start: options?.range?.start ?? 0, end } });
      },
    }),
  ),
  mutant('says a size that is too small', ['gives back a small blob'], (right) => ({
    stat: async (digest) => {
      const info = await right.stat(digest);
      return info && { ...info, size: info.size - 1 };
    },
  })),
  mutant('takes an empty blob for none', ['gives back an empty blob'], (right) => ({
    stat: async (digest) => {
      const info = await right.stat(digest);
      return info?.size === 0 ? undefined : info;
    },
  })),
  mutant(
    'ignores the end of a range',
    ['gives a range: the first byte', 'gives a range: the middle', 'gives a range: a piece across'],
    (right) => ({
      async open(digest, options) {
        const info = await right.stat(digest);
        if (options?.range === undefined || info === undefined) return right.open(digest, options);
        return right.open(digest, { ...options, range: { start: options.range.start, end: info.size - 1 } });
      },
    }),
  ),
  mutant(
    'ignores ranges',
    ['gives a range: the last byte', 'gives a range: all but the ends', 'serves several readers'],
    (right) => ({
      open: (digest, options) => right.open(digest, { signal: options?.signal }),
    }),
  ),
  mutant(
    'takes the end of a range for exclusive',
    ['gives a range: the whole', 'gives a range: the last byte'],
    (right) => ({
      async open(digest, options) {
        if (options?.range === undefined) return right.open(digest, options);
        const { start, end } = options.range;
        return start === end ? Readable.from([]) : right.open(digest, { ...options, range: { start, end: end - 1 } });
      },
    }),
  ),
  mutant('opens a blob of any size', ['answers undefined for a blob of another size'], (right) => ({
    open: (digest, options) => right.open(digest, { range: options?.range, signal: options?.signal }),
  })),
  mutant('answers null', ['answers undefined for a blob that is not there'], (right) => ({
    stat: async (digest) => (await right.stat(digest)) ?? (null as never),
    open: async (digest, options) => (await right.open(digest, options)) ?? (null as never),
  })),
  mutant(
    'throws for what is not there',
    ['answers undefined for a blob that is not there', 'deletes one blob'],
    (right) => ({
      async stat(digest) {
        const info = await right.stat(digest);
        if (info === undefined) throw new EntrepotError('not-found', 'no such blob');
        return info;
      },
    }),
  ),
  mutant('gives all readers one stream', ['is not disturbed by a reader that leaves'], (right) => {
    let shared: Readable | undefined;
    return {
      async open(digest, options) {
        shared ??= await right.open(digest, options);
        return shared;
      },
    };
  }),
  mutant('ends a read cleanly when it is aborted', ['fails a read whose signal is aborted'], (right) => ({
    async open(digest, options) {
      const stream = await right.open(digest, { range: options?.range });
      if (stream === undefined || options?.signal === undefined) return stream;
      const { signal } = options;
      return Readable.from(
        (async function* () {
          for await (const chunk of stream) {
            yield chunk;
            if (signal.aborted) return;
          }
        })(),
      );
    },
  })),
  mutant('lists only the first ten', ['lists every blob once'], (right) => ({
    async *list() {
      let left = 10;
      for await (const info of right.list()) if (left-- > 0) yield info;
    },
  })),
  mutant(
    'lists blobs twice',
    ['lists every blob once', 'takes one blob twice', 'takes one blob from several callers'],
    (right) => ({
      async *list() {
        for await (const info of right.list()) {
          yield info;
          yield info;
        }
      },
    }),
  ),
  mutant('leaves a probe behind when it is checked', ['is ready'], (right) => ({
    check: () => right.put(digestOf('probe'), 5, sourceOf(Buffer.from('probe'))),
  })),
  mutant('keeps the first piece only', ['takes a blob in pieces of any size'], (right) => ({
    async put(digest, size, source, options) {
      for await (const chunk of source.open()) {
        return right.put(digestOf(chunk as Buffer), (chunk as Buffer).length, sourceOf(chunk as Buffer), options);
      }
      return right.put(digest, size, source, options);
    },
  })),
  mutant('refuses a blob that it has', ['takes one blob twice'], (right) => ({
    async put(digest, size, source, options) {
      if ((await right.stat(digest)) !== undefined) throw new EntrepotError('storage', 'the file exists');
      await right.put(digest, size, source, options);
    },
  })),
  mutant(
    'refuses one digest from several callers',
    ['takes one blob from several callers', 'takes one blob from two processes'],
    (right) => {
      const busy = new Set<Digest>();
      return {
        async put(digest, size, source, options) {
          if (busy.has(digest)) throw new EntrepotError('storage', 'the temporary file exists');
          busy.add(digest);
          try {
            await right.put(digest, size, source, options);
          } finally {
            busy.delete(digest);
          }
        },
      };
    },
  ),
  mutant('writes to one temporary place', ['keeps different blobs apart that are put at once'], (right) => {
    let temporary: Buffer = Buffer.alloc(0);
    return {
      async put(digest, size, source, options) {
        if (options !== undefined || source.path !== undefined) return right.put(digest, size, source, options);
        temporary = await collect(source);
        await new Promise((resolve) => void setImmediate(resolve));
        await right.put(digest, size, sourceOf(temporary));
      },
    };
  }),
  mutant('shows a blob before it is whole', ['shows nothing of a blob before it is whole'], (right) => {
    const started = new Set<Digest>();
    return {
      async put(digest, size, source, options) {
        started.add(digest);
        try {
          await right.put(digest, size, source, options);
        } finally {
          started.delete(digest);
        }
      },
      stat: async (digest) => (started.has(digest) ? { digest, size: 0 } : right.stat(digest)),
    };
  }),
  mutant('leaves what it opened', ['destroys the sources that it opened'], (right) => ({
    async put(digest, size, source, options) {
      await right.put(
        digest,
        size,
        { ...source, open: () => Readable.from(source.open(), { autoDestroy: false }) },
        options,
      );
      source.open();
    },
  })),
  mutant('takes verified bytes of any size', ['takes a blob from verified bytes'], (right) => ({
    put: (digest, size, source, options) =>
      source.bytes === undefined
        ? right.put(digest, size, source, options)
        : right.put(digestOf(source.bytes), source.bytes.length, source, options),
  })),
  mutant('lets one failure fail all', ['takes many at once'], (right) => {
    const putting = new Set<Promise<void>>();
    return {
      async put(digest, size, source, options) {
        const one = right.put(digest, size, source, options);
        putting.add(one);
        one.catch(() => {});
        await Promise.all(putting);
      },
    };
  }),
  mutant('eats the file that it is given', ['takes a blob from a verified file'], (right) => ({
    async put(digest, size, source, options) {
      await right.put(digest, size, source, options);
      if (source.path !== undefined) await rm(source.path);
    },
  })),
  mutant('believes the digest', ['refuses the wrong digest', 'keeps a blob as it is when wrong bytes'], (right) =>
    gullible(right, (_digest, size, bytes) => bytes.length === size),
  ),
  mutant(
    'believes the size',
    [
      'refuses the right bytes under a size that is too small',
      'refuses the right bytes under a size that is too large',
    ],
    (right) => gullible(right, (digest, _size, bytes) => digestOf(bytes) === digest),
  ),
  mutant(
    'believes everything',
    ['refuses no bytes at all', 'refuses a byte too few', 'refuses a byte too many'],
    (right) => gullible(right, () => true),
  ),
  mutant(
    'keeps what a broken source has sent',
    ['keeps nothing of a source that fails half-way', 'keeps nothing of a put that is aborted'],
    (right) => {
      const torn = new Map<Digest, number>();
      return {
        async put(digest, size, source, options) {
          try {
            await right.put(digest, size, source, options);
          } catch (error) {
            torn.set(digest, size);
            throw error;
          }
        },
        stat: async (digest) => (torn.has(digest) ? { digest, size: torn.get(digest) ?? 0 } : right.stat(digest)),
      };
    },
  ),
  mutant('ignores the signal of a put', ['keeps nothing of a put that is aborted'], (right) => ({
    put: (digest, size, source) => right.put(digest, size, source),
  })),
  mutant('always says that it deleted', ['deletes one blob'], (right) => ({
    delete: async (digest) => {
      await right.delete(digest);
      return true;
    },
  })),
  mutant(
    'deletes nothing',
    ['deletes one blob', 'lets a reader of a deleted blob', 'keeps blobs for the next process'],
    () => ({
      delete: async () => true,
    }),
  ),
  mutant('ends the readers of a deleted blob', ['lets a reader of a deleted blob read to its end'], (right) => {
    const readers = new Map<Digest, Readable>();
    return {
      async open(digest, options) {
        const stream = await right.open(digest, options);
        if (stream !== undefined) readers.set(digest, stream);
        return stream;
      },
      async delete(digest) {
        readers.get(digest)?.destroy(new Error('deleted'));
        return right.delete(digest);
      },
    };
  }),
  mutant(
    'does not sign although it says so',
    ['says truthfully whether it signs URLs, and whether blobs are files', 'serves a blob by a signed URL'],
    () => ({
      signedUrl: undefined as never,
    }),
  ),
  mutant('names a file whether there is a blob or not', ['says where the file of a blob is'], (right) => {
    let last: string | undefined;
    return { pathOf: async (digest) => (last = (await right.pathOf?.(digest)) ?? last) };
  }),
  mutant('calls an outage an absence', ['calls an outage an error, never an absence'], (right) => ({
    stat: (digest) => right.stat(digest).catch(() => undefined),
  })),
  {
    name: 'keeps its blobs to itself',
    factory: factory(() => ({}), 'apart'),
    caughtBy: ['keeps blobs for the next process'],
  },
];

function mutant(name: string, caughtBy: readonly string[], wrong: Wrong): Mutant<Factory> {
  return { name, caughtBy, factory: factory(wrong) };
}

describe('blob store suite', () => {
  testMutants(blobStoreSuite, factory(), { signedUrl: true, pathOf: true, replicas: true, outage: true }, mutants);
});
