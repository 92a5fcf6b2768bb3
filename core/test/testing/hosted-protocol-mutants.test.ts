import { describe } from 'vitest';
import {
  type ChangeClass,
  type Cleanup,
  defineProtocolPlugin,
  type Entry,
  EntrepotError,
  type HostedChange,
  type HostedContext,
  type ListingClass,
  type ListingContext,
  type ProtocolInstance,
  type ReceivedEntry,
  type RequestHead,
  type Resource,
  type Route,
} from '@entrepot/core';
import { type HostedProtocolSubject, hostedProtocolSuite, type HostedUpload } from '@entrepot/core/testing';
import { hostedClasses, type HostedClassChanges, routeHosted } from '../engine/hosted-protocol.js';
import { changed, changedHead } from './changed.js';
import { noOptions } from './crate-protocol.js';
import { type Mutant, testMutants } from './mutants.js';

const upload = (name: string): HostedUpload => ({
  put: { method: 'PUT', path: `/files/${name}`, body: `bytes of ${name}` },
  get: `/files/${name}`,
  bytes: `bytes of ${name}`,
  again: { method: 'PUT', path: `/files/${name}`, body: `others of ${name}` },
  againBytes: `others of ${name}`,
  remove: { method: 'DELETE', path: `/files/${name}` },
  listed: { in: '/list/files/', as: `files/${name} ` },
});

/** The same, where the document that is asked for leads to another one. */
const led = (name: string): HostedUpload => ({
  ...upload(name),
  listed: {
    in: '/list/files/',
    as: `(files/${name})`,
    async text(_body, ask) {
      const { body } = await ask('/list/files/');
      return body.toString().replaceAll(/(files\/\S+) /g, '($1)');
    },
  },
});

interface Shelf extends ProtocolInstance {
  /** Memory of its own, which the right shelf does not use. */
  readonly memory: Set<string>;
}

function coordinatesOf(key: string) {
  return { ecosystem: 'shelf', name: key, version: '1' };
}

/** The right routes: those of files, which have coordinates. */
function routeShelf(head: RequestHead): Route | undefined {
  const route = routeHosted(head);
  return route !== undefined && 'class' in route && ['file', 'put', 'delete', 'link'].includes(route.class)
    ? { ...route, coordinates: coordinatesOf(route.key) }
    : route;
}

type Render = ListingClass['render'];
type Make = NonNullable<ChangeClass['make']>;

/** The right list. */
async function* renderShelf(
  _resource: Resource,
  entries: AsyncIterable<Entry>,
  { admits }: Pick<ListingContext, 'admits'>,
): AsyncGenerator<string> {
  for await (const { key, size } of entries) if (admits(coordinatesOf(key))) yield `${key} ${size}\n`;
}

/** The right cleanup: every file is the version 1 of its name. */
const cleanup: Cleanup<Shelf> = {
  async *stored({ list }) {
    for await (const entry of list('files/')) yield [{ entry, ...coordinatesOf(entry.key) }];
  },
  retire: async (versions) => ({ remove: versions.map(({ entry }) => entry.key) }),
};

/** Members of the right shelf that differ. */
interface ShelfChanges {
  readonly cleanup?: Partial<Cleanup<Shelf>>;
  readonly classes?: HostedClassChanges;
  readonly route?: (head: RequestHead, memory: Set<string>) => Route | undefined;
}

function subject({ classes, cleanup: cleaning, route = routeShelf }: ShelfChanges = {}): HostedProtocolSubject {
  const plugin = defineProtocolPlugin({
    id: 'shelf',
    options: noOptions,
    inject: {},
    hosted: {
      classes: changed(changed(hostedClasses, { list: { render: renderShelf } }), classes),
      cleanup: { ...cleanup, ...cleaning },
      create(): Shelf {
        const memory = new Set<string>();
        return { memory, route: (head) => route(head, memory) };
      },
    },
  });
  return { plugin, uploads: [upload('a'), led('b'), upload('dir/c')] };
}

/** A shelf that names things of some classes otherwise. */
function routing(
  names: readonly string[],
  change: (named: Resource, memory: Set<string>) => Route | undefined,
  classes: HostedClassChanges = {},
  cleaning: Partial<Cleanup<Shelf>> = {},
): HostedProtocolSubject {
  const route: ShelfChanges['route'] = (head, memory) => {
    const found = routeShelf(head);
    return found !== undefined && 'class' in found && names.includes(found.class) ? change(found, memory) : found;
  };
  return subject({ classes, route, cleanup: cleaning });
}

/** A shelf that takes uploads in another way than by default. */
const putting = (make: Make): HostedProtocolSubject => subject({ classes: { put: { make } } });

/** A shelf with another list. */
const listing = (render: Render): HostedProtocolSubject => subject({ classes: { list: { render } } });

/** A shelf that is cleaned up in another way. */
const cleaning = (changes: Partial<Cleanup<Shelf>>): HostedProtocolSubject => subject({ cleanup: changes });

/** The memory of the shelf that a hook is called for. */
const memoryOf = (self: unknown): Set<string> => (self as Shelf).memory;

/** `subject` with a header on what publishes. */
function publishing({ uploads, ...rest }: HostedProtocolSubject): HostedProtocolSubject {
  return { ...rest, uploads: uploads.map((one) => ({ ...one, put: { ...one.put, headers: { 'x-publish': 'yes' } } })) };
}

const pause = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const put = (key: string): HostedChange => ({ replace: [{ key, mediaType: 'text/plain' }] });

/** The list of a shelf that stores it. */
const LIST: Resource = { class: 'text', key: 'list' };

async function readList({ find, content }: Pick<HostedContext, 'find' | 'content'>): Promise<string> {
  const list = await find('list');
  return list === undefined ? '' : Buffer.from(await content(list).bytes(10_000)).toString();
}

function listOf(lines: readonly string[]): ReceivedEntry {
  const text = lines.map((line) => line.trimEnd()).filter((line) => line !== '');
  return { key: 'list', bytes: Buffer.from(text.map((line) => `${line} \n`).join('')), mediaType: 'text/plain' };
}

/** Takes an upload, and writes it into the list. */
const putListed: Make = async ({ key }, _content, context) => {
  const list = await context.find('list');
  return {
    create: [{ key, mediaType: 'text/plain' }],
    replace: [listOf([...(await readList(context)).split('\n'), key])],
    expect: [{ key: 'list', digest: list?.digest }],
  };
};

let repetitions = 0;
let calls = 0;

const mutants: Mutant<HostedProtocolSubject>[] = [
  mutant(
    'changes what it takes',
    ['gives back what it took', 'has what it took after a restart'],
    putting(async ({ key }, content) => ({
      create: [{ key, bytes: Buffer.from(await content.bytes(100)).reverse(), mediaType: 'text/plain' }],
    })),
  ),
  mutant(
    'answers HEAD as something else',
    ['answers HEAD and If-None-Match without a body'],
    subject({ classes: { file: { reply: { mediaType: () => `text/x-${(calls += 1)}` } } } }),
  ),
  mutant(
    'decodes a name once more',
    ['computes all facts of anything that it routes'],
    subject({
      classes: { list: { entries: ({ key }) => ({ prefix: decodeURIComponent(key.slice('list/'.length)) }) } },
    }),
  ),
  mutant(
    'counts its turns',
    ['computes all facts of anything that it routes'],
    subject({ classes: { put: { bounds: { exclusive: () => `turn ${(calls += 1)}` } } } }),
  ),
  mutant(
    'makes a change of GET',
    ['makes no change of GET and HEAD'],
    publishing(
      subject({
        route: (head) =>
          routeShelf(head.header('x-publish') === undefined ? head : changedHead(head, { method: 'PUT' })),
      }),
    ),
  ),
  mutant(
    'makes an entry for what it will be sent',
    ['stores nothing of an upload that breaks off'],
    subject({
      classes: {
        put: {
          action: 'link',
          make: async ({ key }) => ({ replace: [{ key, bytes: Buffer.from('promised'), mediaType: 'text/plain' }] }),
        },
      },
    }),
  ),
  mutant(
    'keeps its entries in memory',
    ['has what it took after a restart'],
    routing(['put', 'file'], (named, mine) => {
      if (named.class === 'put') mine.add(named.key);
      return mine.has(named.key) ? named : undefined;
    }),
  ),
  mutant(
    'replaces what is there',
    ['refuses what would replace something'],
    putting(async ({ key }) => put(key)),
  ),
  mutant(
    'looks first, and expects nothing',
    ['lets one of many uploads of one name win'],
    putting(async ({ key }, _content, { find }) => {
      if ((await find(key)) !== undefined) throw new EntrepotError('conflict', 'taken');
      await pause();
      return put(key);
    }),
  ),
  mutant(
    'tells everybody that they have won',
    ['lets one of many uploads of one name win'],
    putting(async ({ key }, content, { find, content: contentOf }) => {
      const found = await find(key);
      if (found === undefined) {
        await pause();
        return { expect: [{ key }], ...put(key) };
      }
      const same = Buffer.from(await contentOf(found).bytes(100)).equals(Buffer.from(await content.bytes(100)));
      // The same bytes once more are a success, but only in a race.
      if (same && (repetitions += 1) < 3) return {};
      throw new EntrepotError('conflict', 'taken');
    }),
  ),
  mutant(
    'removes nothing',
    ['has no more what was removed', 'lists what is there, and nothing else'],
    subject({ classes: { delete: { make: async () => ({ reply: { status: 200 } }) } } }),
  ),
  mutant(
    'lists what was removed',
    ['lists what is there, and nothing else'],
    listing(async function* render(_resource, entries, _context, self) {
      const seen = memoryOf(self);
      for await (const { key } of entries) seen.add(key);
      for (const key of seen) yield `${key} \n`;
    }),
  ),
  mutant(
    'lists what is denied',
    ['lists nothing that is denied, and all else'],
    listing((resource, entries) => renderShelf(resource, entries, { admits: () => true })),
  ),
  mutant(
    'asks policy about another name',
    ['lists nothing that is denied, and all else'],
    listing((resource, entries, { admits }) =>
      renderShelf(resource, entries, {
        admits: (coordinates) => admits({ ...coordinates, name: `/${coordinates.name}` }),
      }),
    ),
  ),
  mutant(
    'lists nothing once anything is denied',
    ['lists nothing that is denied, and all else'],
    listing(async function* render(_resource, entries, { admits }) {
      const found: string[] = [];
      for await (const { key, size } of entries) {
        if (!admits(coordinatesOf(key))) return;
        found.push(`${key} ${size}\n`);
      }
      yield* found;
    }),
  ),
  mutant('has no versions', ['lists nothing that is denied, and all else'], subject({ route: routeHosted })),
  mutant(
    'counts what it took by itself',
    ['lists on every replica what any of them took'],
    subject({
      classes: {
        put: {
          async make({ key }, _content, _context, self) {
            memoryOf(self).add(key);
            return { create: [{ key, mediaType: 'text/plain' }] };
          },
        },
        list: {
          async *render(_resource, entries, _context, self) {
            for await (const { key } of entries) if (memoryOf(self).has(key)) yield `${key} \n`;
          },
        },
      },
    }),
  ),
  mutant(
    'writes its list without looking whether it changed',
    ['loses nothing when many publish at once'],
    routing(['list'], () => LIST, {
      put: {
        async make({ key }, _content, context) {
          const before = await readList(context);
          await pause();
          return { create: [{ key, mediaType: 'text/plain' }], replace: [listOf([...before.split('\n'), key])] };
        },
      },
    }),
  ),
  mutant(
    'changes something on a read',
    ['changes nothing for those who may not'],
    // Not guarded: nobody is asked who they are.
    routing(['put', 'delete'], () => ({ status: 201 })),
  ),
  mutant(
    'finds a version twice',
    ['names what may be removed'],
    cleaning({
      async *stored(context, self) {
        for await (const versions of cleanup.stored(context, self)) yield [...versions, ...versions];
      },
    }),
  ),
  mutant(
    'tears the versions of a name apart',
    ['names what may be removed'],
    cleaning({
      async *stored(context, self) {
        for await (const versions of cleanup.stored(context, self))
          yield versions.map((one, index) => ({ ...one, name: 'all', version: `${index}` }));
      },
    }),
  ),
  mutant(
    'finds what is no more',
    ['names what may be removed'],
    cleaning({
      async *stored(context, self) {
        for await (const versions of cleanup.stored(context, self))
          yield versions.map((one) => ({ ...one, entry: { ...one.entry, key: `${one.entry.key}~` } }));
      },
    }),
  ),
  mutant(
    'removes all, whatever it is told to',
    ['has no more what cleanup removed, and all else'],
    cleaning({
      retire: async (_versions, { list }) => ({
        remove: (await Array.fromAsync(list('files/'))).map(({ key }) => key),
      }),
    }),
  ),
  mutant(
    'needs everything for something',
    ['has no more what cleanup removed, and all else'],
    cleaning({ retire: async () => ({ remove: [] }) }),
  ),
  mutant(
    'rewrites its list as it was when it looked',
    ['loses nothing that is published while it cleans up'],
    routing(
      ['list'],
      () => LIST,
      { put: { make: putListed } },
      {
        async *stored(context, self) {
          memoryOf(self).add(await readList(context));
          yield* cleanup.stored(context, self);
        },
        async retire(versions, context, self) {
          const seen = [...memoryOf(self)].at(-1) ?? '';
          for (let turns = 0; turns < 1_000 && (await readList(context)) === seen; turns += 1) await pause();
          const remove = versions.map(({ entry }) => entry.key);
          return { remove, replace: [listOf(seen.split('\n').filter((line) => !remove.includes(line.trim())))] };
        },
      },
    ),
  ),
  mutant(
    'answers by itself',
    ['shows nothing to those who may not see it'],
    routing(['list'], () => ({ status: 200, body: 'files/a ' })),
  ),
];

function mutant(
  name: string,
  caughtBy: readonly string[],
  factory: HostedProtocolSubject,
): Mutant<HostedProtocolSubject> {
  return { name, caughtBy, factory };
}

describe('hosted protocol suite', () => {
  testMutants(hostedProtocolSuite, subject(), {}, mutants, 5_000);
});
