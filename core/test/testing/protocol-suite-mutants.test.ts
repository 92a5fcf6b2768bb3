import { afterAll, describe } from 'vitest';
import { EntrepotError, type RequestHead } from '@entrepot/core';
import {
  type ArtifactResource,
  type DocumentResource,
  type BoundResource,
  type RewriteContext,
} from '@entrepot/core/engine';
import { type ProtocolSubject, protocolSuite } from '@entrepot/core/testing';
import { type CrateChanges, crateProtocol, crateSubject, noOptions } from './crate-protocol.js';
import { type Mutant, testMutants } from './mutants.js';

const right = crateProtocol;

/** A router that changes what the right one says. */
function routing(change: (resource: BoundResource, head: RequestHead) => BoundResource | undefined): CrateChanges {
  return {
    protocol: {
      route(head) {
        const resource = right.route(head);
        return resource && change(resource, head);
      },
    },
  };
}

function changingArtifacts(change: Partial<ArtifactResource>): CrateChanges {
  return routing((resource) => (resource.kind === 'artifact' ? { ...resource, ...change } : resource));
}

function changingDocuments(change: Partial<DocumentResource>): CrateChanges {
  return routing((resource) => (resource.kind === 'document' ? { ...resource, ...change } : resource));
}

/** A rewriter that changes the text that the right one makes. */
function rewriting(change: (text: string, baseUrl: string) => string): CrateChanges {
  return {
    protocol: {
      async rewrite(document, content, context) {
        const pieces = (await right.rewrite?.(document, content, context)) as Iterable<string>;
        return [change([...pieces].join(''), context.baseUrl)];
      },
    },
  };
}

/** Another answer of policy for the rewriter than the right one gets. */
function admitting(change: (context: RewriteContext) => RewriteContext['admits']): CrateChanges {
  return {
    protocol: {
      rewrite: (document, content, context) =>
        right.rewrite?.(document, content, { ...context, admits: change(context) }) as never,
    },
  };
}

interface Sheet {
  readonly versions: object;
}

const LISTING = [
  'leaves denied versions out of documents',
  'leaves one denied version out of documents, and no other',
  'leaves a version that is too young out of documents',
];

const timers: NodeJS.Timeout[] = [];
afterAll(() => timers.forEach(clearInterval));

let calls = 0;

const mutants: Mutant<ProtocolSubject>[] = [
  mutant('has an id with a capital', ['says what it is'], { plugin: { id: 'Crate' } }),
  mutant('was made for another core', ['says what it is'], { plugin: { apiVersion: 99 } }),
  mutant('refuses its own example', ['takes the example of its options'], { subject: { options: { color: 'red' } } }),
  mutant('takes every option', ['refuses options that it does not know'], {
    plugin: { options: { '~standard': { version: 1, vendor: 'test', validate: () => ({ value: {} }) } } },
  }),
  mutant('throws for bad options', ['refuses options that it does not know'], {
    plugin: {
      options: {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate(value) {
            if (value === null) throw new TypeError('cannot read properties of null');
            return noOptions['~standard'].validate(value);
          },
        },
      },
    },
  }),
  mutant('routes to another key', ['routes every request of its table'], changingArtifacts({ key: 'other' })),
  mutant('routes what it does not know', ['routes every request of its table', 'answers every request of its table'], {
    protocol: { route: (head) => right.route(head) ?? { kind: 'local', status: 200 } },
  }),
  mutant('counts requests', ['routes the same request to the same resource, always'], {
    protocol: {
      route(head) {
        calls += 1;
        const resource = right.route(head);
        return resource?.kind === 'local' ? { ...resource, body: `pong ${calls}` } : resource;
      },
    },
  }),
  mutant('writes into its segments', ['routes anything at all without failing'], {
    protocol: {
      route(head) {
        (head.segments as string[]).push('x');
        (head.segments as string[]).pop();
        return right.route(head);
      },
    },
  }),
  mutant(
    'routes to a function',
    ['routes to plain data of its own classes'],
    changingArtifacts({ freshness: { valueOf: () => 1 } as never }),
  ),
  mutant(
    'routes to a class that it does not have',
    ['routes to plain data of its own classes'],
    changingArtifacts({ class: 'blob' }),
  ),
  mutant('routes HEAD to nothing', ['routes HEAD as GET'], {
    protocol: { route: (head) => (head.method === 'HEAD' ? undefined : right.route(head)) },
  }),
  mutant('gives all versions one key', ['gives different bytes different keys'], changingArtifacts({ key: 'file' })),
  mutant(
    'forgets the query in its key',
    ['gives different bytes different keys'],
    routing((resource, head) =>
      resource.kind === 'document'
        ? { ...resource, upstreamPath: `${resource.upstreamPath}?${head.query.toString()}` }
        : resource,
    ),
  ),
  mutant('trips over a short path', ['routes anything at all without failing', 'routes every request'], {
    protocol: { route: (head) => ((head.segments[1] as string).length > 100 ? undefined : right.route(head)) },
  }),
  mutant('decodes once more', ['routes anything at all without failing', 'answers hostile paths with a refusal'], {
    protocol: { route: (head) => right.route({ ...head, segments: head.segments.map(decodeURIComponent) }) },
  }),
  mutant('answers later', ['routes anything at all without failing'], {
    protocol: { route: (head) => Promise.resolve(right.route(head)) as never },
  }),
  mutant('throws an error of another kind', ['routes anything at all without failing'], {
    protocol: {
      route(head) {
        if (head.segments.length === 0) throw new EntrepotError('storage', 'no segments');
        return right.route(head);
      },
    },
  }),
  mutant(
    'passes on whatever it is asked for',
    ['never leaves the upstream that it is given', 'answers hostile paths with a refusal'],
    {
      protocol: {
        route(head) {
          const resource = right.route(head);
          if (resource !== undefined || head.segments.length === 0) return resource;
          const path = head.segments.map((segment) => segment.replaceAll('%2e', '.')).join('/');
          return { kind: 'passthrough', method: 'GET', name: 'rest', upstreamPath: path };
        },
      },
    },
  ),
  mutant(
    'lets the path name the host',
    ['never leaves the upstream that it is given'],
    changingArtifacts({ upstreamPath: '//evil.example.com/x' }),
  ),
  mutant('answers an error with another status', ['answers every request of its table'], {
    protocol: {
      renderError: (error) => ({
        status: 500,
        mediaType: 'application/json',
        body: JSON.stringify({ error: error.message }),
      }),
    },
  }),
  mutant('has an empty table', ['has something to serve'], { subject: { cases: [] } }),
  mutant('lists other sums', ['has something to serve', 'answers every request of its table'], {
    protocol: {
      describe: async (document, content, context) => {
        const found = await right.describe?.(document, content, context);
        return new Map(
          [...(found ?? [])].map(([key]) => [key, { integrity: [{ algorithm: 'sha256', hex: '0'.repeat(64) }] }]),
        );
      },
    },
    subject: { cases: [{ request: '/tool/files/tool-1.0.0.bin', resource: { kind: 'artifact' }, status: 200 }] },
  }),
  mutant(
    'never keeps anything',
    ['has something to serve'],
    routing((resource) =>
      resource.kind === 'artifact' || resource.kind === 'document'
        ? { ...resource, freshness: { policy: 'bypass' } }
        : resource,
    ),
  ),
  mutant('serves the wrong version', ['serves an artifact as it was recorded'], {
    ...changingArtifacts({ upstreamPath: 'search?q=to', describedBy: undefined }),
    subject: {
      fixtures: { ...crateSubject().fixtures, 'search?q=to': { body: 'x', fault: { kind: 'wrong-bytes', times: 1 } } },
    },
  }),
  mutant(
    'has a new key for each request',
    [
      'serves an artifact as it was recorded, and asks the upstream once',
      'serves ranges of an artifact',
      'revalidates a document with the validators that it kept',
      'asks the upstream once for fifty clients',
    ],
    routing((resource) => {
      calls += 1;
      return resource.kind === 'artifact' || resource.kind === 'document'
        ? { ...resource, key: `${resource.key} ${calls}` }
        : resource;
    }),
  ),
  mutant(
    'makes another representation each time',
    ['answers HEAD and If-None-Match without a body'],
    routing((resource) => {
      calls += 1;
      return resource.kind === 'document' ? { ...resource, mediaType: `application/json; v=${calls}` } : resource;
    }),
  ),
  mutant('serves artifacts as pages', ['serves an artifact as it was recorded'], {
    ...routing((resource) => {
      if (resource.kind !== 'artifact') return resource;
      return {
        ...resource,
        kind: 'artifact',
        freshness: { policy: 'revalidate', freshFor: 0, staleIfError: 0 },
        upstreamPath: `${resource.upstreamPath}?${(calls += 1)}`,
      };
    }),
  }),
  mutant(
    'hands the credentials of a client on',
    ['keeps what clients send about themselves from the upstream'],
    routing((resource, head) =>
      resource.kind === 'passthrough' ? { ...resource, accept: head.header('authorization') ?? '*/*' } : resource,
    ),
  ),
  mutant(
    'puts a cookie into a query',
    ['routes the same request'],
    routing((resource) =>
      resource.kind === 'passthrough' ? { ...resource, upstreamPath: `search?q=to&x=${(calls += 1)}` } : resource,
    ),
  ),
  mutant(
    'lets no copy stand in',
    ['serves a kept document while the upstream fails'],
    changingDocuments({ expectedMediaTypes: undefined, freshness: { staleIfError: 1 } }),
  ),
  mutant(
    'takes any page for a sheet',
    ['takes no login page for a rewritten document', 'serves a kept document while the upstream fails'],
    {
      protocol: {
        ...changingDocuments({ expectedMediaTypes: undefined }).protocol,
        describe: async () => new Map(),
        rewrite: async (_document, content, { baseUrl }) => [
          Buffer.from(await content.bytes(1e6))
            .toString()
            .replaceAll(/http:\/\/127[^/]*\/upstream\/base/g, baseUrl),
        ],
      },
    },
  ),
  mutant('makes an outage of a 404', ['passes on that the upstream has nothing'], {
    protocol: {
      renderError: (error) => ({
        status: error.kind === 'not-found' ? 502 : error.status,
        mediaType: 'application/json',
        body: JSON.stringify({ error: error.message }),
      }),
    },
  }),
  mutant('says nothing of its artifacts', ['never completes and never stores an artifact with wrong bytes'], {
    protocol: { ...changingArtifacts({ descriptionOptional: true }).protocol, describe: async () => new Map() },
  }),
  mutant(
    'leaves the URLs of the upstream',
    ['rewrites documents so that no client is sent past it', 'rewrites links so that they route to artifacts'],
    {
      protocol: {
        async *rewrite(_document, content) {
          yield* content.stream();
        },
      },
    },
  ),
  mutant('leaves a link to the upstream', ['rewrites documents so that no client is sent past it'], {
    protocol: {
      async rewrite(document, content, context) {
        const made = (await right.rewrite?.(document, content, context)) as Iterable<string>;
        const source = /http:[^"]*/.exec(Buffer.from(await content.bytes(1e6)).toString())?.[0];
        return [...made, JSON.stringify({ source })];
      },
    },
  }),
  mutant(
    'makes links that it does not serve',
    ['rewrites links so that they route to artifacts'],
    rewriting((text) => text.replaceAll('/files/', '/download/')),
  ),
  mutant(
    'links to other hosts',
    ['rewrites links so that they route to artifacts'],
    rewriting((text, baseUrl) => text.replaceAll(baseUrl, 'https://elsewhere.example.com')),
  ),
  mutant(
    'lists what is denied',
    LISTING,
    admitting(() => () => true),
  ),
  mutant('lists nothing once anything is denied', ['leaves one denied version out of documents, and no other'], {
    protocol: {
      async rewrite(document, content, context) {
        const { versions } = JSON.parse(Buffer.from(await content.bytes(1e6)).toString()) as Sheet;
        const all = Object.keys(versions).every((version) =>
          context.admits({ ecosystem: 'crate', name: 'tool', version }),
        );
        return right.rewrite?.(document, content, { ...context, admits: () => all }) as never;
      },
    },
  }),
  mutant(
    'asks policy about another name',
    ['leaves one denied version out of documents, and no other'],
    admitting(
      ({ admits }) =>
        (coordinates, ...facts) =>
          admits({ ...coordinates, name: 'Tool' }, ...facts),
    ),
  ),
  mutant(
    'keeps the dates from policy',
    ['leaves a version that is too young out of documents'],
    admitting(
      ({ admits }) =>
        (coordinates) =>
          admits(coordinates),
    ),
  ),
  mutant('has no dates', ['leaves a version that is too young out of documents'], {
    protocol: {
      async describe(document, content, context) {
        const found = await right.describe?.(document, content, context);
        return new Map([...(found ?? [])].map(([key, described]) => [key, { ...described, publishedAt: undefined }]));
      },
    },
  }),
  mutant(
    'leaves latest on a refused version',
    ['leaves one denied version out of documents, and no other', 'leaves a version that is too young'],
    rewriting((text) => text.replace(/"latest":"[^"]*"/, '"latest":"1.1.0"')),
  ),
  mutant('lists what is denied, without a URL', LISTING, {
    ...admitting(() => () => true),
    subject: { links: 'none', mentions: (body) => Object.keys((JSON.parse(body) as Sheet).versions) },
  }),
  mutant('has one version', ['leaves one denied version out of documents, and no other'], {
    subject: { cases: crateSubject().cases.filter(({ request }) => request !== '/tool/files/tool-1.0.0.bin') },
  }),
  mutant('forgets the coordinates', ['refuses a denied artifact in the shape of its clients'], {
    protocol: {
      ...changingArtifacts({ coordinates: undefined }).protocol,
      async describe(document, content, context) {
        const found = await right.describe?.(document, content, context);
        return new Map([...(found ?? [])].map(([key, described]) => [key, { ...described, coordinates: undefined }]));
      },
    },
  }),
  mutant('calls everything by one name', LISTING, {
    protocol: {
      rewrite: (document, content, context) =>
        right.rewrite?.(document, content, {
          ...context,
          admits: () => context.admits({ ecosystem: 'crate', name: 'tool' }),
        }) as never,
    },
  }),
  mutant('hides the reason', ['refuses a denied artifact in the shape of its clients'], {
    protocol: { renderError: () => ({ mediaType: 'application/json', body: '{"error":"no"}' }) },
  }),
  mutant('denies with a success', ['refuses a denied artifact in the shape of its clients', 'prints every error'], {
    protocol: {
      renderError: (error) => ({
        status: error.kind === 'policy-denied' ? 200 : error.status,
        mediaType: 'application/json',
        body: JSON.stringify(error.message),
      }),
    },
  }),
  mutant(
    'answers every error with 200',
    [
      'never completes and never stores an artifact that the upstream fails to give',
      'takes no login page for a rewritten document',
      'passes on that the upstream has nothing',
    ],
    {
      protocol: {
        renderError: ({ message }) => ({ status: 200, mediaType: 'application/json', body: JSON.stringify(message) }),
      },
    },
  ),
  mutant('prints JSON by hand', ['prints every error'], {
    protocol: { renderError: (error) => ({ mediaType: 'application/json', body: `{"error":"${error.message}"}` }) },
  }),
  mutant('cannot print every error', ['prints every error'], {
    protocol: {
      renderError(error) {
        if (error.kind === 'scan-unavailable') throw new Error('unknown kind');
        return { mediaType: 'text/plain', body: error.message };
      },
    },
  }),
  mutant('leaves a timer running', ['leaves nothing behind when it is closed'], {
    create: () => void timers.push(setInterval(() => {}, 60_000)),
  }),
  mutant('cannot be closed', ['leaves nothing behind when it is closed'], {
    protocol: {
      dispose: async () => {
        throw new Error('already closed');
      },
    },
  }),
];

function mutant(name: string, caughtBy: readonly string[], changes: CrateChanges): Mutant<ProtocolSubject> {
  return { name, caughtBy, factory: crateSubject(changes) };
}

describe('protocol suite', () => {
  testMutants(protocolSuite, crateSubject(), {}, mutants, 3000);
});
