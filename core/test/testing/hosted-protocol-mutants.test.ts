import { describe } from 'vitest';
import { type Entry, EntrepotError, type HostedChange } from '@entrepot/core';
import { type EngineProtocol } from '@entrepot/core/engine';
import { type HostedProtocolSubject, hostedProtocolSuite, type HostedUpload } from '@entrepot/core/testing';
import { hostedProtocol } from '../engine/hosted-protocol.js';
import { noOptions } from './crate-protocol.js';
import { type Mutant, testMutants } from './mutants.js';
import { enginePlugin } from '../engine/engine-plugin.js';

const upload = (name: string): HostedUpload => ({
  put: { method: 'PUT', path: `/files/${name}`, body: `bytes of ${name}` },
  get: `/files/${name}`,
  bytes: `bytes of ${name}`,
  again: { method: 'PUT', path: `/files/${name}`, body: `others of ${name}` },
  againBytes: `others of ${name}`,
  remove: { method: 'DELETE', path: `/files/${name}` },
  listed: { in: '/list/files/', as: `files/${name} ` },
});

/** The right protocol: a shelf of files that have coordinates. */
function shelf(): EngineProtocol {
  const bare = hostedProtocol();
  return {
    ...bare,
    route(head) {
      const resource = bare.route(head);
      return resource?.kind === 'artifact' || resource?.kind === 'upload'
        ? { ...resource, coordinates: coordinatesOf(resource.key) }
        : resource;
    },
    async *render(_document, entries, { admits }) {
      for await (const { key, size } of entries) if (admits(coordinatesOf(key))) yield `${key} ${size}\n`;
    },
  };
}

function coordinatesOf(key: string) {
  return { ecosystem: 'shelf', name: key, version: '1' };
}

function subject(make: (right: EngineProtocol) => Partial<EngineProtocol> = () => ({})): HostedProtocolSubject {
  const plugin = enginePlugin({
    id: 'shelf',
    kinds: ['hosted'],
    options: noOptions,
    inject: {},
    classes: {
      artifact: { kind: 'artifact', description: 'a file' },
      document: { kind: 'document', description: 'a list' },
    },
    create: () => {
      const right = shelf();
      return { ...right, ...make(right) };
    },
  });
  return { plugin: plugin as never, uploads: ['a', 'b', 'dir/c'].map(upload) };
}

/** A protocol whose hook takes uploads in another way than by default. */
function receiving(receive: NonNullable<EngineProtocol['receive']>): HostedProtocolSubject {
  return subject(() => ({ receive }));
}

/** `subject` with a header on what publishes. */
function publishing({ uploads, ...rest }: HostedProtocolSubject): HostedProtocolSubject {
  return { ...rest, uploads: uploads.map((one) => ({ ...one, put: { ...one.put, headers: { 'x-publish': 'yes' } } })) };
}

const pause = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const put = (key: string): HostedChange => ({ replace: [{ key, mediaType: 'text/plain' }] });

let repetitions = 0;

const mutants: Mutant<HostedProtocolSubject>[] = [
  mutant(
    'changes what it takes',
    ['gives back what it took', 'has what it took after a restart'],
    receiving(async ({ key }, content) => ({
      create: [{ key, bytes: Buffer.from(await content.bytes(100)).reverse(), mediaType: 'text/plain' }],
    })),
  ),
  mutant(
    'answers HEAD as something else',
    ['answers HEAD and If-None-Match without a body'],
    subject((right) => {
      let asked = 0;
      return {
        route(head) {
          const resource = right.route(head);
          if (resource?.kind !== 'artifact') return resource;
          asked += 1;
          return { ...resource, mediaType: `text/x-${asked}` };
        },
      };
    }),
  ),
  mutant(
    'makes a change of GET',
    ['makes no change of GET and HEAD'],
    publishing(
      subject((right) => ({
        route: (head) => right.route(head.header('x-publish') === undefined ? head : { ...head, method: 'PUT' }),
      })),
    ),
  ),
  mutant(
    'makes an entry for what it will be sent',
    ['stores nothing of an upload that breaks off'],
    subject((right) => ({
      route(head) {
        const resource = right.route(head);
        return resource?.kind === 'upload' && resource.action === 'put' ? { ...resource, action: 'link' } : resource;
      },
      alter: async ({ key }) => ({ replace: [{ key, bytes: Buffer.from('promised'), mediaType: 'text/plain' }] }),
    })),
  ),
  mutant(
    'keeps its entries in memory',
    ['has what it took after a restart'],
    subject((right) => {
      const mine = new Set<string>();
      return {
        route(head) {
          const resource = right.route(head);
          if (resource?.kind === 'upload' && resource.action === 'put') mine.add(resource.key);
          return resource?.kind === 'artifact' && !mine.has(resource.key) ? undefined : resource;
        },
      };
    }),
  ),
  mutant(
    'replaces what is there',
    ['refuses what would replace something'],
    receiving(async ({ key }) => put(key)),
  ),
  mutant(
    'looks first, and expects nothing',
    ['lets one of many uploads of one name win'],
    receiving(async ({ key }, _content, { find }) => {
      if ((await find(key)) !== undefined) throw new EntrepotError('conflict', 'taken');
      await pause();
      return put(key);
    }),
  ),
  mutant(
    'tells everybody that they have won',
    ['lets one of many uploads of one name win'],
    receiving(async ({ key }, content, { find, content: contentOf }) => {
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
    subject(() => ({ alter: async () => ({ reply: { status: 200 } }) })),
  ),
  mutant(
    'lists what was removed',
    ['lists what is there, and nothing else'],
    subject(() => {
      const seen = new Set<string>();
      return { render: (_document, entries) => remembering(entries, seen) };
    }),
  ),
  mutant(
    'lists what is denied',
    ['lists nothing that is denied, and all else'],
    subject((right) => ({
      render: (document, entries, context) =>
        right.render?.(document, entries, { ...context, admits: () => true }) as never,
    })),
  ),
  mutant(
    'asks policy about another name',
    ['lists nothing that is denied, and all else'],
    subject((right) => ({
      render: (document, entries, context) =>
        right.render?.(document, entries, {
          ...context,
          admits: (coordinates) => context.admits({ ...coordinates, name: `/${coordinates.name}` }),
        }) as never,
    })),
  ),
  mutant(
    'lists nothing once anything is denied',
    ['lists nothing that is denied, and all else'],
    subject(() => ({
      async *render(_document, entries, { admits }) {
        const found: string[] = [];
        for await (const { key, size } of entries) {
          if (!admits(coordinatesOf(key))) return;
          found.push(`${key} ${size}\n`);
        }
        yield* found;
      },
    })),
  ),
  mutant(
    'has no versions',
    ['lists nothing that is denied, and all else'],
    subject((right) => ({
      route(head) {
        const resource = right.route(head);
        return resource !== undefined && 'coordinates' in resource ? { ...resource, coordinates: undefined } : resource;
      },
    })),
  ),
  mutant(
    'counts what it took by itself',
    ['lists on every replica what any of them took'],
    subject(() => {
      const mine = new Set<string>();
      return {
        async receive({ key }) {
          mine.add(key);
          return { create: [{ key, mediaType: 'text/plain' }] };
        },
        async *render(_document, entries) {
          for await (const { key } of entries) if (mine.has(key)) yield `${key} \n`;
        },
      };
    }),
  ),
  mutant(
    'writes its list without looking whether it changed',
    ['loses nothing when many publish at once'],
    subject((right) => ({
      route(head) {
        const resource = right.route(head);
        if (resource?.kind !== 'document') return resource;
        return { kind: 'document', key: 'list', class: 'document', upstreamPath: 'list' };
      },
      async receive({ key }, _content, { find, content }) {
        const list = await find('list');
        const before = list === undefined ? '' : Buffer.from(await content(list).bytes(10_000)).toString();
        await pause();
        return {
          create: [{ key, mediaType: 'text/plain' }],
          replace: [{ key: 'list', bytes: Buffer.from(`${before}${key} \n`), mediaType: 'text/plain' }],
        };
      },
    })),
  ),
  mutant(
    'changes something on a read',
    ['changes nothing for those who may not'],
    subject((right) => ({
      route(head) {
        const resource = right.route(head);
        // Not guarded: nobody is asked who they are.
        return resource?.kind === 'upload' ? { kind: 'local', status: 201 } : resource;
      },
    })),
  ),
  mutant(
    'answers by itself',
    ['shows nothing to those who may not see it'],
    subject((right) => ({
      route(head) {
        const resource = right.route(head);
        return resource?.kind === 'document' ? { kind: 'local', status: 200, body: 'files/a ' } : resource;
      },
    })),
  ),
];

async function* remembering(entries: AsyncIterable<Entry>, seen: Set<string>): AsyncGenerator<string> {
  for await (const { key } of entries) seen.add(key);
  for (const key of seen) yield `${key} \n`;
}

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
