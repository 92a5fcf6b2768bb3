import { afterAll, describe } from 'vitest';
import {
  type ArtifactDescription,
  type DocumentReplyFacts,
  EntrepotError,
  isLocalReply,
  type RenderRequest,
  type RequestHead,
  type Resource,
} from '@entrepot/core';
import { type ProtocolSubject, protocolSuite } from '@entrepot/core/testing';
import {
  type CrateChanges,
  crateSubject,
  noOptions,
  type ParsedSheet,
  parseSheet,
  renderSheet,
  routeCrate,
} from './crate-protocol.js';
import { changedHead } from './changed.js';
import { type Mutant, testMutants } from './mutants.js';

type Kind = 'sheet' | 'file' | 'search';

/** A router that changes the names of some classes. */
function routing(
  kinds: readonly Kind[],
  change: (named: Resource, head: RequestHead) => Partial<Resource>,
): CrateChanges {
  return {
    route(head) {
      const route = routeCrate(head);
      const isOne = route !== undefined && 'class' in route && kinds.includes(route.class as Kind);
      return isOne ? { ...route, ...change(route, head) } : route;
    },
  };
}

function changingFiles(change: Partial<Resource>): CrateChanges {
  return routing(['file'], () => change);
}

/** Other descriptions than the right ones. */
function describing(change: (described: ArtifactDescription) => ArtifactDescription | undefined): CrateChanges {
  return {
    classes: {
      sheet: {
        async parse(content, resource) {
          const parsed = await parseSheet(content, resource);
          const found = new Map<string, ArtifactDescription>();
          for (const [key, right] of parsed.descriptions()) {
            const described = change(right);
            if (described !== undefined) found.set(key, described);
          }
          return { ...parsed, describe: (key) => found.get(key), descriptions: () => found };
        },
      },
    },
  };
}

function rendering(render: DocumentReplyFacts<unknown, ParsedSheet>['render']): CrateChanges {
  return { classes: { sheet: { reply: { render } } } };
}

/** A representation that changes the text of the right one. */
function rewriting(change: (text: string, baseUrl: string) => string): CrateChanges {
  return rendering((parsed, request) => [change(renderSheet(parsed, request)[0], request.baseUrl)]);
}

/** Another answer of policy for `render` than the right one gets. */
function admitting(change: (request: RenderRequest) => RenderRequest['admits']): CrateChanges {
  return rendering((parsed, request) => renderSheet(parsed, { ...request, admits: change(request) }));
}

/** An error whose status or body differs. */
function printing(
  change: (error: EntrepotError) => { readonly status?: number; readonly body?: string },
): CrateChanges {
  return {
    renderError: (error) => ({
      mediaType: 'application/json',
      body: JSON.stringify({ error: error.message }),
      ...change(error),
    }),
  };
}

const LISTING = [
  'leaves denied versions out of documents',
  'leaves one denied version out of documents, and no other',
  'leaves a version that is too young out of documents',
];

const timers: NodeJS.Timeout[] = [];
afterAll(() => timers.forEach(clearInterval));

let calls = 0;

/** Another key each time. It may depend on a header, so that the result is not remembered for the target. */
function countingKey({ key }: Resource, { header }: RequestHead): Partial<Resource> {
  return { key: `${key} ${header('accept') ?? ''} ${(calls += 1)}` };
}

const VARIANTS: Readonly<Record<string, readonly string[]>> = { tool: ['Accept'] };

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
  mutant('routes to another key', ['routes every request of its table'], changingFiles({ key: 'other' })),
  mutant('routes what it does not know', ['routes every request of its table', 'answers every request of its table'], {
    route: (head) => routeCrate(head) ?? { status: 200 },
  }),
  mutant('counts requests', ['routes the same request to the same resource, always'], {
    route(head) {
      calls += 1;
      const route = routeCrate(head);
      return route !== undefined && isLocalReply(route) ? { ...route, body: `pong ${calls}` } : route;
    },
  }),
  mutant('writes into its segments', ['routes anything at all without failing'], {
    route(head) {
      (head.segments as string[]).push('x');
      (head.segments as string[]).pop();
      return routeCrate(head);
    },
  }),
  mutant(
    'routes to a function',
    ['routes to plain data of its own classes'],
    changingFiles({ attributes: { valueOf: () => 1 } }),
  ),
  mutant(
    'routes to a class that it does not have',
    ['routes to plain data of its own classes'],
    changingFiles({ class: 'blob' }),
  ),
  mutant('routes HEAD to nothing', ['routes HEAD as GET'], {
    route: (head) => (head.method === 'HEAD' ? undefined : routeCrate(head)),
  }),
  mutant('gives all versions one key', ['gives different bytes different keys'], changingFiles({ key: 'file' })),
  mutant(
    'forgets the query in its key',
    ['gives different bytes different keys'],
    routing(['sheet'], ({ path }, { query }) => ({ path: `${path}?${query.toString()}` })),
  ),
  mutant('trips over a short path', ['routes anything at all without failing', 'routes every request'], {
    route: (head) => ((head.segments[1] as string).length > 100 ? undefined : routeCrate(head)),
  }),
  mutant('decodes once more', ['routes anything at all without failing', 'answers hostile paths with a refusal'], {
    route: (head) => routeCrate(changedHead(head, { segments: head.segments.map((one) => decodeURIComponent(one)) })),
  }),
  mutant('counts in a fact', ['computes all facts of anything that it routes'], {
    classes: { file: { upstream: { tokenScope: () => `read ${(calls += 1)}` } } },
  }),
  mutant('looks up a name in a plain object', ['computes all facts of anything that it routes'], {
    classes: { sheet: { reply: { vary: ({ path = '' }) => VARIANTS[path]?.map((name) => name.toLowerCase()) } } },
  }),
  mutant('answers later', ['routes anything at all without failing'], {
    route: (head) => Promise.resolve(routeCrate(head)) as never,
  }),
  mutant('throws an error of another kind', ['routes anything at all without failing'], {
    route(head) {
      if (head.segments.length === 0) throw new EntrepotError('storage', 'no segments');
      return routeCrate(head);
    },
  }),
  mutant(
    'passes on whatever it is asked for',
    ['never leaves the upstream that it is given', 'answers hostile paths with a refusal'],
    {
      route(head) {
        const route = routeCrate(head);
        if (route !== undefined || head.segments.length === 0) return route;
        const path = head.segments.map((segment) => segment.replaceAll('%2e', '.')).join('/');
        return { class: 'search', key: 'rest', path };
      },
    },
  ),
  mutant(
    'lets the path name the host',
    ['never leaves the upstream that it is given'],
    changingFiles({ path: '//evil.example.com/x' }),
  ),
  mutant(
    'answers an error with another status',
    ['answers every request of its table'],
    printing(() => ({ status: 500 })),
  ),
  mutant('has an empty table', ['has something to serve'], { subject: { cases: [] } }),
  mutant('lists other sums', ['has something to serve', 'answers every request of its table'], {
    ...describing(() => ({ integrity: [{ algorithm: 'sha256', hex: '0'.repeat(64) }] })),
    subject: { cases: [{ request: '/tool/files/tool-1.0.0.bin', resource: { kind: 'artifact' }, status: 200 }] },
  }),
  mutant('never keeps anything', ['has something to serve'], {
    classes: {
      sheet: { cache: { except: () => ({ policy: 'bypass' }) } },
      file: { cache: { except: () => ({ policy: 'bypass' }) } },
    },
  }),
  mutant('serves the wrong version', ['serves an artifact as it was recorded'], {
    ...changingFiles({ path: 'search?q=to' }),
    classes: { file: { trust: { describedBy: undefined } } },
    subject: {
      fixtures: { ...crateSubject().fixtures, 'search?q=to': { body: 'x', fault: { kind: 'wrong-bytes', times: 1 } } },
    },
  }),
  mutant(
    'has a new key for each request',
    [
      'serves an artifact as it was recorded, and asks the upstream once',
      'revalidates a document with the validators that it kept',
      'asks the upstream once for fifty clients',
    ],
    {
      ...routing(['sheet', 'file'], countingKey),
      classes: { file: { trust: { describedBy: undefined } } },
    },
  ),
  mutant(
    'has a new key for each request, which no sheet lists',
    ['serves an artifact as it was recorded', 'serves ranges of an artifact', 'asks the upstream once'],
    routing(['file'], countingKey),
  ),
  mutant('makes another representation each time', ['answers HEAD and If-None-Match without a body'], {
    classes: { sheet: { reply: { mediaType: () => `application/json; v=${(calls += 1)}` } } },
  }),
  mutant('serves artifacts as pages', ['serves an artifact as it was recorded'], {
    ...routing(['file'], ({ path }) => ({ path: `${path}?${(calls += 1)}` })),
    classes: { file: { cache: { except: () => ({ policy: 'revalidate', freshFor: 0, staleIfError: 0 }) } } },
  }),
  mutant('hands the credentials of a client on', ['keeps what clients send about themselves from the upstream'], {
    ...routing(['search'], (_, { header }) => ({ attributes: { accept: header('authorization') ?? '*/*' } })),
    classes: { search: { upstream: { accept: ({ attributes }) => String(attributes?.['accept']) } } },
  }),
  mutant(
    'puts a cookie into a query',
    ['routes the same request'],
    routing(['search'], () => ({ path: `search?q=to&x=${(calls += 1)}` })),
  ),
  mutant('lets no copy stand in', ['serves a kept document while the upstream fails'], {
    classes: { sheet: { upstream: { expects: undefined }, cache: { except: () => ({ staleIfError: 1 }) } } },
  }),
  mutant(
    'takes any page for a sheet',
    ['takes no login page for a rewritten document', 'serves a kept document while the upstream fails'],
    {
      classes: {
        sheet: {
          upstream: { expects: undefined },
          parse: async () => ({ weight: 0 }) as never,
          reply: {
            render: async (_parsed, { content, baseUrl }) => [
              Buffer.from(await content.bytes(1e6))
                .toString()
                .replaceAll(/http:\/\/127[^/]*\/upstream\/base/g, baseUrl),
            ],
          },
        },
      },
    },
  ),
  mutant(
    'makes an outage of a 404',
    ['passes on that the upstream has nothing'],
    printing(({ kind, status }) => ({ status: kind === 'not-found' ? 502 : status })),
  ),
  mutant('says nothing of its artifacts', ['never completes and never stores an artifact with wrong bytes'], {
    classes: { ...describing(() => undefined).classes, file: { trust: { descriptionOptional: true } } },
  }),
  mutant(
    'leaves the URLs of the upstream',
    ['rewrites documents so that no client is sent past it', 'rewrites links so that they route to artifacts'],
    rendering((_parsed, { content }) => content.stream()),
  ),
  mutant(
    'leaves a link to the upstream',
    ['rewrites documents so that no client is sent past it'],
    rendering((parsed, request) => {
      const source = Object.values(parsed.sheet.versions)[0]?.url;
      return [...renderSheet(parsed, request), JSON.stringify({ source })];
    }),
  ),
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
  mutant(
    'lists nothing once anything is denied',
    ['leaves one denied version out of documents, and no other'],
    rendering((parsed, request) => {
      const isListed = (version: string) => request.admits({ ecosystem: 'crate', name: 'tool', version });
      const all = Object.keys(parsed.sheet.versions).every(isListed);
      return renderSheet(parsed, { ...request, admits: () => all });
    }),
  ),
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
  mutant(
    'has no dates',
    ['leaves a version that is too young out of documents'],
    describing((described) => ({ ...described, publishedAt: undefined })),
  ),
  mutant(
    'leaves latest on a refused version',
    ['leaves one denied version out of documents, and no other', 'leaves a version that is too young'],
    rewriting((text) => text.replace(/"latest":"[^"]*"/, '"latest":"1.1.0"')),
  ),
  mutant('lists what is denied, without a URL', LISTING, {
    ...admitting(() => () => true),
    subject: { links: 'none', mentions: (body) => Object.keys((JSON.parse(body) as { versions: object }).versions) },
  }),
  mutant('has one version', ['leaves one denied version out of documents, and no other'], {
    subject: { cases: crateSubject().cases.filter(({ request }) => request !== '/tool/files/tool-1.0.0.bin') },
  }),
  mutant('forgets the coordinates', ['refuses a denied artifact in the shape of its clients'], {
    ...changingFiles({ coordinates: undefined }),
    ...describing((described) => ({ ...described, coordinates: undefined })),
  }),
  mutant(
    'calls everything by one name',
    LISTING,
    admitting(
      ({ admits }) =>
        () =>
          admits({ ecosystem: 'crate', name: 'tool' }),
    ),
  ),
  mutant(
    'hides the reason',
    ['refuses a denied artifact in the shape of its clients'],
    printing(() => ({ body: '{"error":"no"}' })),
  ),
  mutant(
    'denies with a success',
    ['refuses a denied artifact in the shape of its clients', 'prints every error'],
    printing(({ kind, status }) => ({ status: kind === 'policy-denied' ? 200 : status })),
  ),
  mutant(
    'answers every error with 200',
    [
      'never completes and never stores an artifact that the upstream fails to give',
      'takes no login page for a rewritten document',
      'passes on that the upstream has nothing',
    ],
    printing(() => ({ status: 200 })),
  ),
  mutant(
    'prints JSON by hand',
    ['prints every error'],
    printing(({ message }) => ({ body: `{"error":"${message}"}` })),
  ),
  mutant('cannot print every error', ['prints every error'], {
    renderError(error) {
      if (error.kind === 'scan-unavailable') throw new Error('unknown kind');
      return { mediaType: 'text/plain', body: error.message };
    },
  }),
  mutant('leaves a timer running', ['leaves nothing behind when it is closed'], {
    create: () => void timers.push(setInterval(() => {}, 60_000)),
  }),
  mutant('cannot be closed', ['leaves nothing behind when it is closed'], {
    dispose: async () => {
      throw new Error('already closed');
    },
  }),
];

function mutant(name: string, caughtBy: readonly string[], changes: CrateChanges): Mutant<ProtocolSubject> {
  return { name, caughtBy, factory: crateSubject(changes) };
}

describe('protocol suite', () => {
  testMutants(protocolSuite, crateSubject(), {}, mutants, 3000);
});
