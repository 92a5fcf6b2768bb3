import { describe } from 'vitest';
import { type Digest, type Entry, EntrepotError } from '@entrepot/core';
import { type EntryIndexFixture, entryIndexSuite, MemoryEntryIndex } from '@entrepot/core/testing';
import { type Mutant, mutate, testMutants } from './mutants.js';

type Wrong = (right: MemoryEntryIndex) => Partial<MemoryEntryIndex>;
type Factory = () => EntryIndexFixture;

function factory(wrong: Wrong = () => ({}), apart: 'shared' | 'apart' = 'shared'): Factory {
  return () => {
    const shared = new MemoryEntryIndex();
    let down = false;
    const open = (right: MemoryEntryIndex): MemoryEntryIndex => {
      const breakable = new Proxy(right, {
        get(target, name) {
          const value = Reflect.get(target, name) as unknown;
          if (name === 'dispose') return async () => {};
          if (typeof value !== 'function') return value;
          if (!down) return value.bind(target) as unknown;
          return async () => {
            throw new EntrepotError('storage', 'the database is gone');
          };
        },
      });
      return mutate(breakable, wrong);
    };
    const index = open(shared);
    return {
      index,
      reopen: async () => open(apart === 'apart' ? new MemoryEntryIndex() : shared),
      breakDown: async () => {
        down = true;
      },
    };
  };
}

/** An index that spells keys in its own way, and gives them back as they were. */
function spelling(spell: (repository: string, key: string) => readonly [string, string]): Wrong {
  return (right) => {
    const back = (entry: Entry | undefined, repository: string, key: string) => entry && { ...entry, repository, key };
    const there = (entry: Entry): Entry => {
      const [repository, key] = spell(entry.repository, entry.key);
      return { ...entry, repository, key };
    };
    return {
      find: async (repository, key) => back(await right.find(...spell(repository, key)), repository, key),
      replace: (entry) => right.replace(there(entry)),
      putIfAbsent: (entries) => right.putIfAbsent(entries.map(there)),
      remove: (repository, key, digest) => right.remove(...spell(repository, key), digest),
    };
  };
}

/** Keys by a pattern, as a careless query would find them. */
function matching(toPattern: (prefix: string) => RegExp): Wrong {
  return (right) => ({
    async list(repository, { prefix, after, limit }) {
      const all = await right.list(repository, { prefix: '', after, limit: Infinity });
      return all.filter(({ key }) => toPattern(prefix).test(key)).slice(0, limit);
    },
  });
}

function sorted(compare: (left: Entry, right: Entry) => number): Wrong {
  return (right) => ({
    list: async (repository, options) => [...(await right.list(repository, options))].sort(compare),
  });
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const later = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const mutants: Mutant<Factory>[] = [
  mutant('answers null', ['answers undefined for what is not there'], (right) => ({
    find: async (repository, key) => (await right.find(repository, key)) ?? (null as never),
  })),
  mutant('gives null for a field that is absent', ['gives back an entry without the optional fields'], (right) => ({
    async find(repository, key) {
      const entry = await right.find(repository, key);
      return entry && { ...entry, etag: entry.etag ?? (null as never) };
    },
  })),
  mutant('loses the attributes', ['gives back every field', 'replace puts whatever was there'], (right) => ({
    replace: ({ attributes: _lost, ...entry }) => right.replace(entry),
  })),
  mutant('keeps 32 bits of a size', ['keeps sizes and times beyond 32 bits'], (right) => ({
    replace: (entry) => right.replace({ ...entry, size: entry.size | 0 }),
  })),
  mutant('keeps the entry of its caller', ['keeps its own copy of an entry'], (right) => {
    let last: Entry | undefined;
    return {
      async replace(entry) {
        last = entry;
        await right.replace(entry);
      },
      find: async (repository, key) =>
        last?.key === key && last.repository === repository ? last : right.find(repository, key),
    };
  }),
  mutant(
    'takes upper case for lower',
    ['tells keys apart to the last code point'],
    spelling((repository, key) => [repository, key.toLowerCase()]),
  ),
  mutant(
    'normalises keys',
    ['tells keys apart to the last code point'],
    spelling((repository, key) => [repository, key.normalize('NFC')]),
  ),
  mutant(
    'trims keys',
    ['tells keys apart to the last code point'],
    spelling((repository, key) => [repository, key.trimEnd()]),
  ),
  mutant(
    'joins repository and key',
    ['keeps repositories apart'],
    spelling((repository, key) => ['all', repository + key]),
  ),
  mutant(
    'shares keys between repositories',
    [
      'keeps repositories apart',
      'putIfAbsent is not hindered by',
      'touch makes no entry, and does nothing to another repository',
      'remove takes one entry',
    ],
    (right) => {
      const rename = (entry: Entry | undefined, repository: string): Entry | undefined =>
        entry && { ...entry, repository };
      return {
        find: async (repository, key) => rename(await right.find('all', key), repository),
        putIfAbsent: (entries) => right.putIfAbsent(entries.map((entry) => ({ ...entry, repository: 'all' }))),
        replace: (entry) => right.replace({ ...entry, repository: 'all' }),
        touch: (_repository, key, digest, renewal) => right.touch('all', key, digest, renewal),
        remove: (_repository, key, digest) => right.remove('all', key, digest),
        list: async (repository, options) =>
          (await right.list('all', options)).map((entry) => rename(entry, repository) as Entry),
      };
    },
  ),
  mutant('leaves a probe behind when it is checked', ['is ready'], (right) => ({
    check: () =>
      right.replace({
        repository: 'npm',
        key: 'probe',
        digest: 'sha256:',
        size: 0,
        mediaType: '',
        headers: {},
        fetchedAt: 0,
        checkedAt: 0,
        integrity: [],
      }),
  })),
  mutant(
    'returns a set in its own order',
    ['putIfAbsent puts a new set and returns it in the given order'],
    (right) => ({
      putIfAbsent: async (entries) => [...(await right.putIfAbsent(entries))].reverse(),
    }),
  ),
  mutant('refuses an empty set', ['putIfAbsent of nothing does nothing'], (right) => ({
    async putIfAbsent(entries) {
      if (entries.length === 0) throw new EntrepotError('storage', 'near ")": syntax error');
      return right.putIfAbsent(entries);
    },
  })),
  mutant(
    'puts half of a set',
    ['putIfAbsent puts none of a set when one of its keys exists', 'putIfAbsent leaves no half of a set'],
    (right) => ({
      async putIfAbsent(entries) {
        const found: Entry[] = [];
        for (const entry of entries) found.push(...(await right.putIfAbsent([entry])));
        return found;
      },
    }),
  ),
  mutant(
    'returns what it was given',
    [
      'putIfAbsent puts none of a set when one of its keys exists',
      'putIfAbsent has one winner among callers',
      'putIfAbsent has one winner among processes',
    ],
    (right) => ({
      async putIfAbsent(entries) {
        await right.putIfAbsent(entries);
        return entries;
      },
    }),
  ),
  mutant('answers a crowd in another order', ['gives each of many at once its own answer'], (right) => {
    const waiting: { entries: readonly Entry[]; resolve(found: readonly Entry[]): void }[] = [];
    return {
      putIfAbsent: (entries) =>
        new Promise((resolve) => {
          waiting.push({ entries, resolve });
          if (waiting.length > 1) return;
          setImmediate(async () => {
            const group = waiting.splice(0);
            const results: (readonly Entry[])[] = [];
            for (const one of group) results.push(await right.putIfAbsent(one.entries));
            results.reverse();
            group.forEach((one, at) => one.resolve(results[at] as readonly Entry[]));
          });
        }),
    };
  }),
  mutant('overwrites instead', ['putIfAbsent puts none of a set when one of its keys exists'], (right) => ({
    async putIfAbsent(entries) {
      for (const entry of entries) await right.replace(entry);
      return entries;
    },
  })),
  mutant(
    'looks first and puts later',
    ['putIfAbsent has one winner among callers', 'putIfAbsent leaves no half'],
    (right) => ({
      async putIfAbsent(entries) {
        const found = await Promise.all(entries.map(({ repository, key }) => right.find(repository, key)));
        await later();
        if (found.every((entry) => entry === undefined)) for (const entry of entries) await right.replace(entry);
        return (await Promise.all(entries.map(({ repository, key }) => right.find(repository, key)))).filter(
          (entry) => entry !== undefined,
        );
      },
    }),
  ),
  mutant(
    'takes a hundred rows at once',
    ['putIfAbsent takes a large set', 'referenced takes many digests'],
    (right) => ({
      async putIfAbsent(entries) {
        if (entries.length > 100) throw new EntrepotError('storage', 'too many SQL variables');
        return right.putIfAbsent(entries);
      },
      async referenced(digests) {
        if (digests.length > 100) throw new EntrepotError('storage', 'too many SQL variables');
        return right.referenced(digests);
      },
    }),
  ),
  mutant('remembers what was removed', ['putIfAbsent puts again what was removed'], (right) => {
    const seen = new Set<string>();
    return {
      async putIfAbsent(entries) {
        if (entries.some(({ key }) => seen.has(key))) return [];
        return right.putIfAbsent(entries);
      },
      async remove(repository, key, digest) {
        seen.add(key);
        return right.remove(repository, key, digest);
      },
    };
  }),
  mutant('replaces only the fields that are named', ['replace puts whatever was there'], (right) => ({
    replace: async (entry) => right.replace({ ...(await right.find(entry.repository, entry.key)), ...entry }),
  })),
  mutant('replaces only what exists', ['gives back every field', 'list gives whole entries'], (right) => ({
    async replace(entry) {
      if ((await right.find(entry.repository, entry.key)) !== undefined) await right.replace(entry);
    },
  })),
  mutant('forgets what a renewal leaves out', ['touch renews what it names and leaves the rest'], (right) => ({
    async touch(repository, key, digest, renewal) {
      const entry = await right.find(repository, key);
      if (entry?.digest !== digest) return false;
      await right.replace({
        ...entry,
        etag: undefined,
        lastModified: undefined,
        ...renewal,
        headers: renewal.headers ?? {},
        mediaType: renewal.mediaType ?? entry.mediaType,
      });
      return true;
    },
  })),
  mutant('merges kept headers', ['touch renews what it names and leaves the rest'], (right) => ({
    async touch(repository, key, digest, renewal) {
      const entry = await right.find(repository, key);
      return right.touch(repository, key, digest, { ...renewal, headers: { ...entry?.headers, ...renewal.headers } });
    },
  })),
  mutant('touches any bytes', ['touch does nothing to other bytes'], (right) => ({
    async touch(repository, key, _digest, renewal) {
      const entry = await right.find(repository, key);
      return entry === undefined ? false : right.touch(repository, key, entry.digest, renewal);
    },
  })),
  mutant('says false but touches', ['touch does nothing to other bytes'], (right) => ({
    async touch(repository, key, digest, renewal) {
      const entry = await right.find(repository, key);
      if (entry !== undefined) await right.touch(repository, key, entry.digest, renewal);
      return entry?.digest === digest;
    },
  })),
  mutant('removes whatever the digest', ['remove with a digest spares other bytes'], (right) => ({
    remove: (repository, key) => right.remove(repository, key),
  })),
  mutant('removes all below a key', ['remove takes one entry'], (right) => ({
    async remove(repository, key, digest) {
      for (const entry of await right.list(repository, { prefix: key, limit: Infinity })) {
        if (entry.key !== key) await right.remove(repository, entry.key);
      }
      return right.remove(repository, key, digest);
    },
  })),
  mutant('changes by pieces', ['change does nothing when', 'change loses nothing among callers'], (right) => ({
    async change({ repository, expect, put, remove }) {
      for (const { key, digest } of expect) {
        if ((await right.find(repository, key))?.digest !== digest) return undefined;
        for (const entry of put) await right.replace(entry);
      }
      return right.change({ repository, expect: [], put, remove });
    },
  })),
  mutant('expects nothing', ['change does nothing when', 'change loses nothing among processes'], (right) => ({
    change: (change) => right.change({ ...change, expect: [] }),
  })),
  mutant('changes whatever was changed before', ['change is made at the revision that it names'], (right) => ({
    change: ({ at: _ignored, ...change }) => right.change(change),
  })),
  mutant('takes an expected absence for anything', ['change does nothing when'], (right) => ({
    change: ({ expect, ...change }) =>
      right.change({ ...change, expect: expect.filter(({ digest }) => digest !== undefined) }),
  })),
  mutant('removes nothing in a change', ['change puts and removes as one', 'change takes large sets'], (right) => ({
    change: (change) => right.change({ ...change, remove: [] }),
  })),
  mutant('has one revision for all', ['change makes revisions of its repository'], (right) => {
    let revision = 0;
    return {
      async change(change) {
        const made = await right.change(change);
        return made === undefined ? undefined : (revision += 1);
      },
      revision: async () => revision,
    };
  }),
  mutant('changes all repositories', ['change does nothing to another repository'], (right) => ({
    async change(change) {
      for (const key of change.remove) await right.remove('other', key);
      return right.change(change);
    },
  })),
  mutant(
    'takes % and _ for wildcards',
    ['list takes a prefix literally'],
    matching((prefix) => new RegExp(`^${escape(prefix).replaceAll('%', '.*').replaceAll('_', '.')}`, 'su')),
  ),
  mutant(
    'takes * and ? for wildcards',
    ['list takes a prefix literally'],
    matching((prefix) => new RegExp(`^${escape(prefix).replaceAll('\\*', '.*').replaceAll('\\?', '.')}`, 'su')),
  ),
  mutant(
    'lists without regard to case',
    ['list takes a prefix literally'],
    matching((prefix) => new RegExp(`^${escape(prefix)}`, 'sui')),
  ),
  mutant(
    'lists what only contains the prefix',
    ['list takes a prefix literally'],
    matching((prefix) => new RegExp(escape(prefix), 'su')),
  ),
  mutant(
    'lists only whole path segments',
    ['list tells an exact key from a longer one'],
    matching((prefix) => new RegExp(`^${escape(prefix)}(/|$|(?<=/))`, 'su')),
  ),
  mutant('ends a prefix at U+FFFF', ['list finds what lies at the end of a prefix'], (right) => ({
    list: async (repository, options) =>
      (await right.list(repository, options)).filter(
        ({ key }) => options.prefix === '' || key < `${options.prefix}\u{10FFFF}`,
      ),
  })),
  mutant(
    'lists in the order of UTF-16',
    ['list goes in code-point order'],
    sorted(({ key: left }, { key: right }) => (left < right ? -1 : 1)),
  ),
  mutant(
    'lists in the order of a language',
    ['list goes in code-point order'],
    sorted(({ key: left }, { key: right }) => left.localeCompare(right, 'en')),
  ),
  mutant('includes after', ['list pages by after', 'list starts after a key that need not exist'], (right) => ({
    async list(repository, { prefix, after, limit }) {
      const all = await right.list(repository, { prefix, limit: Infinity });
      return all.filter(({ key }) => after === undefined || key >= after).slice(0, limit);
    },
  })),
  mutant('ignores the limit', ['list pages by after', 'list gives whole entries'], (right) => ({
    list: async (repository, options) => {
      const all = await right.list(repository, { ...options, limit: Infinity });
      return all.map(({ coordinates: _lost, ...entry }) => entry);
    },
  })),
  mutant('needs after to exist', ['list starts after a key that need not exist'], (right) => ({
    async list(repository, { prefix, after, limit }) {
      const all = await right.list(repository, { prefix, limit: Infinity });
      return all.slice(after === undefined ? 0 : all.findIndex(({ key }) => key === after) + 1).slice(0, limit);
    },
  })),
  mutant('lists by key alone', ['listStored goes by time', 'listStored goes by when bytes were stored'], (right) => ({
    listStored: async (repository, listing) =>
      [...(await right.listStored(repository, listing))].sort((left, right) => (left.key < right.key ? -1 : 1)),
  })),
  mutant('pages by time alone', ['listStored pages through'], (right) => ({
    listStored: (repository, { after, ...listing }) =>
      right.listStored(repository, after === undefined ? listing : { ...listing, since: listing.since + 1 }),
  })),
  mutant('starts each page at its time anew', ['listStored pages through', 'listStored takes since'], (right) => ({
    listStored: (repository, { after: _ignored, ...listing }) => right.listStored(repository, listing),
  })),
  mutant('passes over all keys before the last one', ['listStored pages through'], (right) => ({
    async listStored(repository, { after, limit, ...listing }) {
      const all = await right.listStored(repository, { ...listing, limit: Infinity });
      return all.filter(({ key }) => after === undefined || key > after).slice(0, limit);
    },
  })),
  mutant('leaves out what was stored at since', ['listStored takes since with it'], (right) => ({
    listStored: (repository, listing) =>
      right.listStored(repository, listing.after === undefined ? { ...listing, since: listing.since + 1 } : listing),
  })),
  mutant('lists what is too new', ['listStored takes since with it'], (right) => ({
    listStored: (repository, listing) => right.listStored(repository, { ...listing, before: Infinity }),
  })),
  mutant('lists all repositories by time', ['listStored goes by time'], (right) => ({
    async listStored(repository, listing) {
      const other = await right.listStored('other', listing);
      return [...(await right.listStored(repository, listing)), ...other].slice(0, listing.limit);
    },
  })),
  mutant('lists fewer fields by time', ['listStored gives whole entries'], (right) => ({
    listStored: async (repository, listing) =>
      (await right.listStored(repository, listing)).map(({ coordinates: _lost, ...entry }) => entry),
  })),
  mutant('looks for references in one repository', ['referenced names the digests'], (right) => ({
    async referenced(digests) {
      const used = new Set((await right.list('npm', { prefix: '', limit: Infinity })).map(({ digest }) => digest));
      return new Set(digests.filter((digest) => used.has(digest)));
    },
  })),
  mutant('never forgets a reference', ['referenced goes on until the last entry is gone'], (right) => {
    const used = new Set<Digest>();
    return {
      async replace(entry) {
        used.add(entry.digest);
        await right.replace(entry);
      },
      referenced: async (digests) => new Set(digests.filter((digest) => used.has(digest))),
    };
  }),
  mutant('makes entries of accesses', ['recordAccess changes no entry and makes none'], (right) => ({
    async recordAccess(accesses) {
      for (const { repository, key, at } of accesses) {
        const entry = {
          repository,
          key,
          digest: 'sha256:' as Digest,
          size: 0,
          mediaType: '',
          headers: {},
          fetchedAt: at,
          checkedAt: at,
          integrity: [],
        };
        await right.putIfAbsent([entry]);
      }
    },
  })),
  mutant('takes the last access for the newest', ['recordAccess never goes back in time'], () => {
    const times = new Map<string, number>();
    return {
      async recordAccess(accesses) {
        for (const { repository, key, at } of accesses) times.set(`${repository} ${key}`, at);
      },
      lastAccess: async (repository, keys) =>
        new Map(keys.flatMap((key) => [[key, times.get(`${repository} ${key}`) ?? 0] as const])),
    };
  }),
  mutant('says that everything was served', ['lastAccess tells of those that were served'], (right) => ({
    async lastAccess(repository, keys) {
      const found = await right.lastAccess(repository, keys);
      return new Map(keys.map((key) => [key, found.get(key) ?? 0]));
    },
  })),
  mutant('calls an outage an absence', ['calls an outage an error, never an absence'], (right) => ({
    find: (repository, key) => right.find(repository, key).catch(() => undefined),
  })),
  mutant('throws the errors of its database', ['calls an outage an error, never an absence'], (right) => ({
    check: () => right.check().catch(() => Promise.reject(new Error('SQLITE_IOERR'))),
  })),
  {
    name: 'keeps its entries to itself',
    factory: factory(() => ({}), 'apart'),
    caughtBy: ['shows every change to the other process', 'putIfAbsent has one winner among processes'],
  },
];

function mutant(name: string, caughtBy: readonly string[], wrong: Wrong): Mutant<Factory> {
  return { name, caughtBy, factory: factory(wrong) };
}

describe('entry index suite', () => {
  testMutants(entryIndexSuite, factory(), { replicas: true, outage: true }, mutants);
});
