import assert from 'node:assert/strict';
import { packageUrl } from '../api/coordinates.js';
import { EntrepotError, type ErrorKind } from '../api/errors.js';
import { parseOptions } from '../api/options.js';
import type { PolicyInput } from '../api/policy.js';
import type { Protocol, RequestHead } from '../api/protocol.js';
import type { ArtifactResource, DocumentResource, Resource } from '../api/resource.js';
import { isCompatible } from '../api/version.js';
import type { Fault, Fixture } from './fake-upstream.js';
import { FixedPolicy } from './fixed-policy.js';
import { asRequest, headOf, printRequest, routeRequest } from './route-table.js';
import { digestOf } from './sample-bytes.js';
import { type Checks, defineChecks, type SuiteRunner } from './suite.js';
import {
  createProtocol,
  freshnessOf,
  openTestRepository,
  type TestReply,
  type TestRepository,
  type TestRepositoryOptions,
  type TestRequest,
  UPSTREAM_PATH,
} from './test-repository.js';

/** One line of a protocol's table. */
export interface ProtocolCase {
  /** A request, or the path of a GET. */
  readonly request: TestRequest | string;
  /**
   * What `route` makes of it: the fields that are named must be equal. `undefined`: nothing, a 404. A string: the kind of
   * the error that `route` throws.
   */
  readonly resource: Partial<Resource> | ErrorKind | undefined;
  /** The status that the client gets, with the recorded upstream. */
  readonly status: number;
}

/** A protocol plugin with what its suite needs: a recorded upstream, and a table of requests. */
export interface ProtocolSubject extends Pick<TestRepositoryOptions, 'plugin' | 'options' | 'services'> {
  /**
   * The upstream's replies by their path below its base URL, encoded as requests spell it. In text bodies `{{upstream}}` stands
   * for the base URL. A reply of status 200 without validators gets an `ETag`.
   */
  readonly fixtures: Readonly<Record<string, Fixture>>;
  /** At least one artifact and one document that is there, if the protocol has such. */
  readonly cases: readonly ProtocolCase[];
  /**
   * The URLs of a document that clients follow: absolute, or relative to the document. Absent: every absolute URL below the
   * repository that stands in it.
   */
  readonly links?: (body: string, mediaType: string) => readonly string[];
}

/** What the ecosystem has. Each is on unless it is switched off. */
export interface ProtocolCapabilities {
  /** Artifacts are promised an integrity. */
  readonly integrity?: boolean;
  /** Documents are rewritten, and name artifacts by URL. */
  readonly rewriting?: boolean;
  /** Artifacts have coordinates with a version, and errors are rendered for the ecosystem's clients. */
  readonly policy?: boolean;
}

type Stored = ArtifactResource | DocumentResource;

/** A case that names something stored and that the recorded upstream has. */
interface Served<R extends Stored = Stored> {
  readonly request: TestRequest;
  readonly resource: R;
}

/** For one check: repositories of the subject, closed at its end. */
interface Fixtures {
  readonly subject: ProtocolSubject;
  /** A protocol that nothing else uses. */
  create(): Promise<Protocol>;
  /** `change` may alter what the upstream serves. */
  open(options?: OpenOptions): Promise<TestRepository>;
  /** The cases of a kind that the upstream has and that are kept. */
  served(kind: 'artifact'): Promise<Served<ArtifactResource>[]>;
  served(kind: 'document'): Promise<Served<DocumentResource>[]>;
  /** The paths that the upstream is asked for when `request` is served from an empty store, in order. */
  asked(request: TestRequest): Promise<string[]>;
  close(): Promise<void>;
}

interface OpenOptions extends Partial<TestRepositoryOptions> {
  change?(path: string, fixture: Fixture): Fixture | undefined;
}

const ROUTE_ERRORS: readonly ErrorKind[] = ['bad-request', 'not-found', 'forbidden', 'method-not-allowed'];
const KINDS: ReadonlySet<string> = new Set(['artifact', 'document', 'local', 'passthrough', 'upload']);
const SECRET = 'client-secret-3f9a';

/** Runs a plugin in the real pipeline and checks what every protocol promises. Give the same `subject` to `runSuite`. */
export function protocolSuite(
  runner: SuiteRunner,
  subject: ProtocolSubject,
  { integrity = true, rewriting = true, policy = true }: ProtocolCapabilities = {},
): void {
  defineChecks(
    runner,
    `protocol ${subject.plugin.id}`,
    () => openFixtures(subject),
    (fixtures) => fixtures.close(),
    (checks) => {
      defineHandshake(checks);
      defineRouting(checks);
      defineAttacks(checks);
      defineServing(checks);
      defineFreshness(checks);
      defineFaults(checks, integrity);
      defineRewriting(checks, rewriting, policy);
      defineDenial(checks, policy);
      defineClosing(checks);
    },
  );
}

function defineHandshake({ check }: Checks<Fixtures>): void {
  check('says what it is', async ({ subject: { plugin } }) => {
    assert.equal(plugin.kind, 'protocol');
    assert.match(plugin.id, /^[a-z0-9-]+$/, 'id: expected lower-case letters, digits and "-"');
    assert.ok(isCompatible(plugin.apiVersion), `apiVersion: this core does not serve ${plugin.apiVersion}`);
    assert.ok(plugin.kinds.length > 0, 'kinds: expected proxy, hosted or both');
    for (const kind of plugin.kinds) assert.ok(['proxy', 'hosted'].includes(kind), `kinds: found ${kind}`);
    for (const [name, { kind, description }] of Object.entries(plugin.classes)) {
      assert.ok(['artifact', 'document'].includes(kind), `classes.${name}.kind: found ${kind}`);
      assert.ok(description.trim() !== '', `classes.${name}.description: expected a line for the reference`);
    }
  });

  check('takes the example of its options', async ({ subject: { plugin, options = {} } }) => {
    assert.deepEqual((await parseOptions(plugin.options, options)).problems, undefined);
  });

  check('refuses options that it does not know', async ({ subject: { plugin, options = {} } }) => {
    const unknown = await parseOptions(plugin.options, { ...(options as object), 'no-such-option': true });
    assert.ok(unknown.problems !== undefined, 'expected a problem for the key "no-such-option", found none');
    for (const wrong of [null, 'text', 1, []]) {
      const { problems } = await parseOptions(plugin.options, wrong);
      assert.ok(problems !== undefined, `expected a problem for ${JSON.stringify(wrong)}, found none`);
    }
  });
}

function defineRouting({ check }: Checks<Fixtures>): void {
  check('routes every request of its table', async ({ subject, create }) => {
    const protocol = await create();
    for (const { request, resource } of subject.cases) {
      const found = routeRequest(protocol, asRequest(request), subject.plugin.dotSegments);
      const label = printRequest(asRequest(request));
      if (resource === undefined || typeof resource === 'string') {
        assert.deepEqual(found, resource ?? 'not-found', label);
        continue;
      }
      assert.ok(typeof found !== 'string', `${label}: expected a ${String(resource.kind)}, found ${String(found)}`);
      const named = Object.keys(resource).map((field) => [field, found[field as keyof Resource]]);
      assert.deepEqual(Object.fromEntries(named), resource, label);
    }
  });

  check('routes the same request to the same resource, always', async ({ subject, create }) => {
    const [protocol, other] = [await create(), await create()];
    const requests = subject.cases.map(({ request }) => asRequest(request));
    const once = requests.map((request) => attemptRoute(protocol, subject, request));
    const again = [...requests].reverse().map((request) => attemptRoute(protocol, subject, request));
    assert.deepEqual(again.reverse(), once);
    const elsewhere = requests.map((request) => attemptRoute(other, subject, request));
    assert.deepEqual(elsewhere, once);
  });

  check('routes to plain data of its own classes', async ({ subject, create }) => {
    const protocol = await create();
    for (const { resource } of routed(protocol, subject)) {
      assert.deepEqual(structuredClone(resource), resource, 'expected plain data');
      if (resource.kind !== 'artifact' && resource.kind !== 'document') continue;
      const { kind } = subject.plugin.classes[resource.class] ?? {};
      assert.equal(kind, resource.kind, `the class "${resource.class}" of ${resource.key}`);
      assert.ok(resource.key !== '', 'expected a key');
    }
  });

  check('routes HEAD as GET', async ({ subject, create }) => {
    const protocol = await create();
    for (const request of gets(subject)) {
      const get = routeRequest(protocol, request, subject.plugin.dotSegments);
      const head = routeRequest(protocol, { ...request, method: 'HEAD' }, subject.plugin.dotSegments);
      // A passthrough says by itself with which method the upstream is asked.
      assert.deepEqual(withoutMethod(head), withoutMethod(get), printRequest(request));
    }
  });

  check('gives different bytes different keys', async ({ subject, create }) => {
    const protocol = await create();
    const places = new Map<string, string>();
    for (const { label, resource } of [...routed(protocol, subject), ...fuzzed(protocol, subject)]) {
      if (resource.kind !== 'artifact' && resource.kind !== 'document') continue;
      const { kind, upstreamPath, upstreamScope, accept } = resource;
      const place = JSON.stringify({ kind, class: resource.class, upstreamPath, upstreamScope, accept });
      const other = places.get(resource.key) ?? place;
      assert.equal(place, other, `${label}: the key ${resource.key} stands for two things`);
      places.set(resource.key, place);
    }
  });

  check('routes anything at all without failing', async ({ subject, create }) => {
    const protocol = await create();
    for (const { label, resource } of fuzzed(protocol, subject)) {
      assert.ok(KINDS.has(resource.kind), `${label}: expected a resource, found ${JSON.stringify(resource)}`);
    }
  });
}

function defineAttacks({ check }: Checks<Fixtures>): void {
  check('never leaves the upstream that it is given', async ({ subject, create }) => {
    const protocol = await create();
    const base = 'https://upstream.example.com/a/base/';
    for (const { label, resource } of [...routed(protocol, subject), ...fuzzed(protocol, subject)]) {
      if (resource.kind === 'local' || resource.kind === 'upload') continue;
      const { upstreamPath } = resource;
      const place = `${label}: the upstream path ${JSON.stringify(upstreamPath)}`;
      assert.ok(/^[!-~]*$/.test(upstreamPath) && !/[#\\]/.test(upstreamPath), `${place} is not percent-encoded`);
      assert.ok(!upstreamPath.startsWith('/'), `${place} begins with "/"`);
      assert.ok(URL.canParse(base + upstreamPath), `${place} makes no URL`);
      assert.ok(new URL(base + upstreamPath).href.startsWith(base), `${place} leaves the base URL`);
    }
  });

  check('answers hostile paths with a refusal, and asks the upstream for nothing else', async ({ subject, open }) => {
    const repository = await open();
    for (const path of hostilePaths(subject)) {
      const { status, error } = await repository.ask(path);
      assert.ok(status < 500 && error === undefined, `${path}: expected a refusal, found ${status}`);
    }
    for (const { path } of repository.upstream.requests) {
      assert.ok(
        path.startsWith(`${UPSTREAM_PATH}/`),
        `the upstream was asked for ${path}, which is not below ${UPSTREAM_PATH}`,
      );
      assert.ok(!isHostile(path), `the upstream was asked for ${path}`);
    }
  });
}

function defineServing({ check }: Checks<Fixtures>): void {
  check('answers every request of its table', async ({ subject, open }) => {
    for (const { request, status } of subject.cases) {
      const repository = await open();
      const reply = await repository.ask(request);
      const label = printRequest(asRequest(request));
      assert.equal(reply.status, status, `${label}: ${reply.body.toString('utf8', 0, 300)}`);
      assert.equal(reply.error, undefined, `${label}: the body broke off`);
      await repository.close();
    }
  });

  check('has something to serve', async ({ subject, served }) => {
    const kinds = new Set(Object.values(subject.plugin.classes).map(({ kind }) => kind));
    if (kinds.has('artifact'))
      assert.ok((await served('artifact')).length > 0, 'cases: expected an artifact with status 200');
    if (kinds.has('document'))
      assert.ok((await served('document')).length > 0, 'cases: expected a document with status 200');
  });

  check(
    'serves an artifact as it was recorded, and asks the upstream once',
    async ({ subject, open, served, asked }) => {
      for (const { request } of await served('artifact')) {
        const repository = await open();
        const label = printRequest(request);
        const path = (await asked(request)).at(-1);
        const recorded = fixtureAt(subject, path ?? '', repository.upstreamUrl);
        const [first, second] = [await repository.ask(request), await repository.ask(request)];
        assert.ok(first.error === undefined && second.error === undefined, `${label}: the body broke off`);
        if (recorded !== undefined) assertSameBytes(first.body, Buffer.from(recorded.body ?? ''), label);
        assertSameBytes(second.body, first.body, `${label}, again`);
        assert.equal(second.outcome, 'hit', label);
        assertAskedOnce(repository, label);
      }
    },
  );

  check('asks the upstream once for fifty clients', async ({ open, served, asked }) => {
    for (const { request } of [...(await served('artifact')), ...(await served('document'))]) {
      const repository = await open();
      const path = (await asked(request)).at(-1) ?? '';
      const gate = repository.upstream.hold(path);
      const replies = Array.from({ length: 50 }, () => repository.ask(request));
      await Promise.race([gate.reached, Promise.all(replies)]);
      gate.open();
      const label = printRequest(request);
      const [first, ...others] = await Promise.all(replies);
      assert.equal(first?.status, 200, label);
      for (const other of others) assertSameBytes(other.body, (first as TestReply).body, label);
      assertAskedOnce(repository, label);
      await repository.close();
    }
  });

  check('serves ranges of an artifact', async ({ open, served }) => {
    for (const { request } of await served('artifact')) {
      const repository = await open();
      const label = printRequest(request);
      const { body } = await repository.ask(request);
      for (const [start, end] of [
        [0, 0],
        [body.length - 1, body.length - 1],
        [1, body.length - 1],
      ] as const) {
        if (start > end || start < 0) continue;
        const reply = await repository.ask(withHeaders(request, { range: `bytes=${start}-${end}` }));
        assert.equal(reply.status, 206, label);
        assert.equal(reply.headers['content-range'], `bytes ${start}-${end}/${body.length}`, label);
        assertSameBytes(reply.body, body.subarray(start, end + 1), `${label} ${start}-${end}`);
      }
    }
  });

  check('answers HEAD and If-None-Match without a body', async ({ open, served }) => {
    for (const { request } of [...(await served('artifact')), ...(await served('document'))]) {
      const repository = await open();
      const label = printRequest(request);
      await repository.ask(request);
      const get = await repository.ask(request);
      const head = await repository.ask({ ...request, method: 'HEAD' });
      assert.deepEqual([head.status, head.body.length], [200, 0], `HEAD of ${label}`);
      for (const name of ['content-length', 'content-type', 'etag']) {
        assert.equal(head.headers[name], get.headers[name], `${name} of HEAD ${label}`);
      }
      assert.equal(Number(get.headers['content-length']), get.body.length, `content-length of ${label}`);
      const etag = get.headers['etag'];
      assert.ok(etag !== undefined, `${label}: expected an ETag, found none`);
      const unchanged = await repository.ask(withHeaders(request, { 'if-none-match': etag }));
      assert.deepEqual([unchanged.status, unchanged.body.length], [304, 0], `If-None-Match on ${label}`);
      const changed = await repository.ask(withHeaders(request, { 'if-none-match': '"another"' }));
      assertSameBytes(changed.body, get.body, label);
    }
  });

  check('keeps what clients send about themselves from the upstream', async ({ subject, open }) => {
    const repository = await open();
    const names = [
      'authorization',
      'cookie',
      'proxy-authorization',
      'referer',
      'x-forwarded-for',
      'user-agent',
      'x-custom',
    ];
    const secrets = Object.fromEntries(names.map((name) => [name, SECRET]));
    for (const { request } of subject.cases) await repository.ask(withHeaders(asRequest(request), secrets));
    for (const { method, path, headers } of repository.upstream.requests) {
      assert.ok(
        !JSON.stringify(headers).includes(SECRET),
        `${method} ${path}: the upstream got a header of the client`,
      );
    }
  });
}

function defineFreshness({ check }: Checks<Fixtures>): void {
  check('revalidates a document with the validators that it kept', async ({ subject, open, served, asked }) => {
    for (const { request, resource } of await served('document')) {
      const path = (await asked(request)).at(-1) ?? '';
      const repository = await open();
      const first = await repository.ask(request);
      if (!outlive(repository, subject, resource)) continue;
      const label = printRequest(request);
      const second = await repository.ask(request);
      assert.deepEqual([second.status, second.outcome], [200, 'revalidated'], label);
      assertSameBytes(second.body, first.body, label);
      const { headers = {} } = repository.upstream.requests.at(-1) ?? {};
      const { etag, lastModified } = fixtureAt(subject, path, repository.upstreamUrl) ?? {};
      const sent = headers['if-none-match'] ?? headers['if-modified-since'];
      assert.ok(sent !== undefined, `${label}: expected validators, found none`);
      assert.equal(sent, (headers['if-none-match'] === undefined ? lastModified : etag) ?? sent, label);
    }
  });

  check('serves a kept document while the upstream fails', async ({ subject, open, served, asked }) => {
    for (const { request, resource } of await served('document')) {
      const path = (await asked(request)).at(-1) ?? '';
      const rule = ruleOf(subject, resource);
      for (const outage of ['500', '429', 'captive portal', 'offline'] as const) {
        const repository = await open();
        const first = await repository.ask(request);
        if (!outlive(repository, subject, resource) || rule.staleIfError <= 0) continue;
        const fixture = fixtureAt(subject, path, repository.upstreamUrl);
        // A page for a page: only its content could tell.
        if (outage === 'captive portal' && (resource.rewritten !== true || isHtml(fixture))) continue;
        if (outage === 'offline') repository.upstream.goOffline();
        else repository.upstream.serve(path, { ...fixture, fault: outageFault(outage) });
        const label = `${printRequest(request)} (${outage})`;
        const second = await repository.ask(request);
        assert.deepEqual([second.status, second.outcome], [200, 'stale'], label);
        assertSameBytes(second.body, first.body, label);
        await repository.close();
      }
    }
  });

  check('passes on that the upstream has nothing', async ({ open, served, asked }) => {
    for (const { request, resource } of [...(await served('artifact')), ...(await served('document'))]) {
      const gone = (await asked(request)).at(-1);
      const repository = await open({ change: (path, fixture) => (path === gone ? undefined : fixture) });
      const label = printRequest(request);
      assert.equal((await repository.ask(request)).status, 404, label);
      assert.equal(await repository.entries.find('test', resource.key), undefined, label);
      await repository.close();
    }
  });
}

function defineFaults({ check, checkIf }: Checks<Fixtures>, integrity: boolean): void {
  async function assertRefused({ open, served, asked }: Fixtures, fault: Fault): Promise<void> {
    for (const { request, resource } of await served('artifact')) {
      const path = (await asked(request)).at(-1) ?? '';
      const repository = await open({
        change: (at, fixture) => (at === path ? { ...fixture, ranges: false, fault } : fixture),
      });
      const label = printRequest(request);
      const broken = await repository.ask(request);
      assert.ok(
        broken.status >= 400 || broken.error !== undefined,
        `${label}: expected no complete reply, found ${broken.status}`,
      );
      assert.equal(await repository.entries.find('test', resource.key), undefined, `${label} was stored`);
      await repository.close();
    }
  }

  checkIf(integrity, 'integrity is off', 'never completes and never stores an artifact with wrong bytes', (fixtures) =>
    assertRefused(fixtures, { kind: 'wrong-bytes' }),
  );

  check('never completes and never stores an artifact that the upstream fails to give', async (fixtures) => {
    await assertRefused(fixtures, { kind: 'truncate', after: 0 });
    await assertRefused(fixtures, { kind: 'status', status: 500 });
  });

  check('takes no login page for a rewritten document', async ({ subject, open, served, asked }) => {
    for (const { request, resource } of await served('document')) {
      const path = (await asked(request)).at(-1) ?? '';
      const repository = await open();
      const fixture = fixtureAt(subject, path, repository.upstreamUrl);
      if (resource.rewritten !== true || isHtml(fixture)) continue;
      repository.upstream.serve(path, { ...fixture, fault: { kind: 'captive-portal', times: 1 } });
      const label = printRequest(request);
      const portal = await repository.ask(request);
      assert.ok(portal.status >= 500, `${label}: expected an upstream failure, found ${portal.status}`);
      assert.equal(await repository.entries.find('test', resource.key), undefined, `${label} was stored`);
      assert.equal((await repository.ask(request)).status, 200, `${label}, when the page has gone`);
      await repository.close();
    }
  });
}

function defineRewriting({ checkIf }: Checks<Fixtures>, rewriting: boolean, policy: boolean): void {
  const reason = 'rewriting is off';

  checkIf(rewriting, reason, 'rewrites documents so that no client is sent past it', async ({ open, served }) => {
    for (const { request, resource } of await served('document')) {
      if (resource.rewritten !== true) continue;
      const repository = await open();
      const text = (await repository.ask(request)).body.toString();
      const { host } = new URL(repository.upstream.url);
      // JSON may spell "/" as "\/".
      assert.ok(!text.replaceAll('\\/', '/').includes(host), `${printRequest(request)} names the host of the upstream`);
    }
  });

  checkIf(rewriting, reason, 'rewrites links so that they route to artifacts', async ({ subject, open, served }) => {
    let artifacts = 0;
    for (const { request, resource } of await served('document')) {
      if (resource.rewritten !== true) continue;
      const repository = await open();
      for (const { link, resource: found } of await linksOf(repository, subject, request)) {
        assert.ok(typeof found !== 'string', `${printRequest(request)} links to ${link}, which is ${String(found)}`);
        if (found.kind === 'artifact') artifacts += 1;
      }
    }
    assert.ok(artifacts > 0, 'expected a document that links to an artifact, found none');
  });

  checkIf(
    rewriting && policy,
    'rewriting or policy is off',
    'leaves denied versions out of documents',
    async (fixtures) => {
      const { subject, open, served } = fixtures;
      const rule = { id: 'kit', action: 'deny', reason: 'denied by the kit', matches: isVersion } as const;
      for (const { request, resource } of await served('document')) {
        if (resource.rewritten !== true) continue;
        const repository = await open({ policy: new FixedPolicy([rule]) });
        for (const { link, resource: found } of await linksOf(repository, subject, request)) {
          const denied =
            typeof found !== 'string' && found.kind === 'artifact' && found.coordinates?.version !== undefined;
          assert.ok(!denied, `${printRequest(request)} still links to ${link}`);
        }
      }
    },
  );
}

function defineDenial({ check, checkIf }: Checks<Fixtures>, policy: boolean): void {
  checkIf(
    policy,
    'policy is off',
    'refuses a denied artifact in the shape of its clients',
    async ({ open, served, asked }) => {
      let denied = 0;
      for (const { request, resource } of await served('artifact')) {
        const { coordinates } = resource;
        if (coordinates === undefined) continue;
        denied += 1;
        const label = printRequest(request);
        const path = (await asked(request)).at(-1);
        const matches = (input: PolicyInput): boolean => packageUrl(input.coordinates) === packageUrl(coordinates);
        const rule = { id: 'kit', action: 'deny', reason: 'denied by the kit', matches } as const;
        const repository = await open({ policy: new FixedPolicy([rule]) });
        const reply = await repository.ask(request);
        assert.equal(reply.outcome, 'denied', label);
        assert.ok(reply.status >= 400 && reply.status < 500, `${label}: expected a refusal, found ${reply.status}`);
        assert.match(reply.body.toString(), /denied by the kit/, `${label}: expected the reason in the body`);
        const head = await repository.ask({ ...request, method: 'HEAD' });
        assert.deepEqual([head.status, head.body.length], [reply.status, 0], `HEAD of ${label}`);
        assert.ok(
          repository.upstream.requests.every((found) => found.path !== path),
          `${label}: the upstream was asked for what is denied`,
        );
        const { renderError } = repository.protocol;
        if (renderError !== undefined) {
          const shape = renderError.call(repository.protocol, new EntrepotError('policy-denied', 'x'));
          assert.equal(reply.headers['content-type'], shape.mediaType, label);
        }
      }
      assert.ok(denied > 0, 'expected an artifact with coordinates, found none');
    },
  );

  check('prints every error', async ({ create }) => {
    const protocol = await create();
    for (const kind of ERROR_KINDS) {
      const rendered = protocol.renderError?.(new EntrepotError(kind, `why "it" failed\nä 😀`, { retryAfter: 1 }));
      if (rendered === undefined) return;
      assert.equal(typeof rendered.body, 'string', `the body for ${kind}`);
      assert.match(rendered.mediaType, /^[a-z]+\/[\w.+-]+(;.*)?$/i, `the media type for ${kind}`);
      const { status = 500 } = rendered;
      assert.ok(status >= 400 && status < 600, `the status for ${kind}: found ${status}`);
      if (rendered.mediaType.includes('json')) JSON.parse(rendered.body);
    }
  });
}

function defineClosing({ check }: Checks<Fixtures>): void {
  check('leaves nothing behind when it is closed', async ({ subject, create, open }) => {
    const before = resources();
    for (let count = 0; count < LEAKS; count += 1) {
      const protocol = await create();
      for (const { request } of subject.cases) attemptRoute(protocol, subject, asRequest(request));
      await protocol.dispose?.();
    }
    for (const [kind, count] of resources()) {
      const more = count - (before.get(kind) ?? 0);
      assert.ok(more < LEAKS, `${LEAKS} protocols were made and closed; ${more} of ${kind} are left`);
    }
    const repository = await open();
    for (const { request } of subject.cases) await repository.ask(request);
    await repository.close();
    assert.equal(repository.engine.flights(), 0, 'fetches that are still running');
  });
}

const LEAKS = 8;

/** What keeps the process alive, by kind. */
function resources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

const ERROR_KINDS: readonly ErrorKind[] = [
  'bad-request',
  'unauthorized',
  'forbidden',
  'not-found',
  'method-not-allowed',
  'conflict',
  'precondition-failed',
  'too-large',
  'uri-too-long',
  'range-not-satisfiable',
  'policy-denied',
  'integrity',
  'upstream-unavailable',
  'scan-unavailable',
  'storage',
  'plugin',
  'configuration',
];

const HEADS = 3000;
/** Segments that have broken somebody's parser. All of them get past the check of the path. */
const ODD_SEGMENTS = [
  '-',
  '_',
  '@',
  '@scope',
  '@scope/name',
  '...',
  '%2e%2e',
  '%2e%2e%2fetc',
  '%',
  '%zz',
  ' ',
  '~',
  ':',
  'a:b',
  'http:',
  '?',
  '#',
  'a#b',
  'a?b=c',
  ';',
  '&',
  '=',
  '+',
  '$(x)',
  '<script>',
  '"',
  "'",
  '{}',
  '[a]',
  '|',
  '^',
  '`',
  '__proto__',
  'constructor',
  'toString',
  'é',
  'e\u0301',
  '中文',
  '😀',
  '\u200B',
  '\u0085',
  '\u2028',
  'x'.repeat(300),
  '.git',
  'index.html',
  '0',
  '1.0.0',
  '-1',
  'latest',
  'a.tgz',
  '.tgz',
];
const ODD_HEADERS = ['', '*/*', 'text/html', 'application/json;q=0', ',', '\u00ff', 'x'.repeat(1000)];

/** The resources that random requests name, made from the table's own paths and odd ones. Fails when `route` does. */
function* fuzzed(
  protocol: Protocol,
  subject: ProtocolSubject,
): Iterable<{ readonly label: string; readonly resource: Resource }> {
  const random = pseudoRandom(20_260_101);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const known = gets(subject).map((request) => tryHead(request, subject)?.segments ?? []);
  const pieces = [...known.flat(), ...ODD_SEGMENTS];
  for (let count = 0; count < HEADS; count += 1) {
    const segments =
      random() < 0.5 ? [...pick(known)] : Array.from({ length: Math.floor(random() * 7) }, () => pick(pieces));
    if (segments.length > 0 && random() < 0.7) segments[Math.floor(random() * segments.length)] = pick(pieces);
    if (random() < 0.2) segments.push(pick(pieces));
    const accept = pick([undefined, ...ODD_HEADERS]);
    const query = random() < 0.3 ? `${encodeURIComponent(pick(pieces))}=${encodeURIComponent(pick(pieces))}` : '';
    const head: RequestHead = {
      method: pick(['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']),
      segments: Object.freeze(segments),
      trailingSlash: random() < 0.2,
      query: new URLSearchParams(query),
      header: () => accept,
    };
    const label = `${head.method} ${JSON.stringify(segments)}${query === '' ? '' : `?${query}`}`;
    const resource = callRoute(protocol, head, label);
    if (resource !== undefined) yield { label, resource };
  }
}

/** Calls `route`, and fails for what it must not throw or return. */
function callRoute(protocol: Protocol, head: RequestHead, label: string): Resource | undefined {
  let resource: unknown;
  try {
    resource = protocol.route(head);
  } catch (error) {
    const allowed = error instanceof EntrepotError && ROUTE_ERRORS.includes((error as EntrepotError).kind);
    assert.ok(allowed, `route(${label}) must throw nothing but ${ROUTE_ERRORS.join(', ')}; it threw ${String(error)}`);
    return undefined;
  }
  if (resource === undefined) return undefined;
  assert.ok(
    typeof resource === 'object' && resource !== null && !('then' in resource),
    `route(${label}) must return a resource or undefined, at once`,
  );
  return resource as Resource;
}

function* routed(
  protocol: Protocol,
  subject: ProtocolSubject,
): Iterable<{ readonly label: string; readonly resource: Resource }> {
  for (const { request } of subject.cases) {
    const head = tryHead(asRequest(request), subject);
    const label = printRequest(asRequest(request));
    const resource = head && callRoute(protocol, head, label);
    if (resource !== undefined) yield { label, resource };
  }
}

/** `undefined` for a path that never gets to `route`. */
function tryHead(request: TestRequest, { plugin }: ProtocolSubject): RequestHead | undefined {
  try {
    return headOf(request, plugin.dotSegments);
  } catch {
    return undefined;
  }
}

function attemptRoute(protocol: Protocol, subject: ProtocolSubject, request: TestRequest): unknown {
  return structuredClone(routeRequest(protocol, request, subject.plugin.dotSegments));
}

function gets({ cases }: ProtocolSubject): TestRequest[] {
  return cases.map(({ request }) => asRequest(request)).filter(({ method = 'GET' }) => method === 'GET');
}

/** The table's own paths with every step of them attacked. */
function hostilePaths(subject: ProtocolSubject): string[] {
  const steps = [
    '..',
    '%2e%2e',
    '%2E%2E%2F%2e%2e',
    '..%2f..%2fetc%2fpasswd',
    '%252e%252e',
    '%252e%252e%252fetc',
    '%25',
    '%25zz',
    '%255c',
    '%2500',
    '..%5c..%5c',
    '%5c',
    '%00',
    'a%00b',
    '%0d%0aX-Injected:1',
    '%c0%ae%c0%ae',
    '%',
    '%zz',
    '.',
    '',
    'http:%2f%2fevil.example.com',
    '%2f%2fevil.example.com',
    '%2fetc%2fpasswd',
    'x'.repeat(10_000),
  ];
  const paths = new Set(steps.map((step) => `/${step}`));
  for (const { path } of gets(subject)) {
    const parts = (path.split('?', 1)[0] as string).split('/').slice(1);
    for (const step of steps) {
      paths.add(`${path.split('?', 1)[0]}/${step}`);
      for (let at = 0; at < parts.length; at += 1) paths.add(`/${parts.with(at, step).join('/')}`);
    }
  }
  return [...paths];
}

/** Whether a server that decodes `path` once would leave its folder, or split its log. */
function isHostile(path: string): boolean {
  const decoded = path.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  return /(^|[/\\])\.\.([/\\]|$)|[\u0000-\u001f\\]/.test(decoded);
}

/** The links of the document that `request` names, and what they route to. */
async function linksOf(
  repository: TestRepository,
  subject: ProtocolSubject,
  request: TestRequest,
): Promise<{ readonly link: string; readonly resource: Resource | string }[]> {
  const { body, headers, status } = await repository.ask(request);
  if (status !== 200) return [];
  const text = body.toString();
  const found = subject.links?.(text, headers['content-type'] ?? '') ?? absoluteLinks(text, repository.baseUrl);
  return found.map((link) => {
    const url = new URL(link, repository.baseUrl + request.path);
    const below = url.href.startsWith(`${repository.baseUrl}/`);
    if (!below) return { link, resource: 'outside of the repository' };
    const path = url.href.slice(repository.baseUrl.length).split('#', 1)[0] as string;
    return { link, resource: routeRequest(repository.protocol, { path }, subject.plugin.dotSegments) };
  });
}

function absoluteLinks(text: string, baseUrl: string): string[] {
  const plain = text.replaceAll('\\/', '/').replaceAll('&amp;', '&');
  const links: string[] = [];
  for (let at = plain.indexOf(`${baseUrl}/`); at >= 0; at = plain.indexOf(`${baseUrl}/`, at + 1)) {
    links.push(/^[^\s"'<>\\)\]}|]*/.exec(plain.slice(at))?.[0] as string);
  }
  return links;
}

async function openFixtures(subject: ProtocolSubject): Promise<Fixtures> {
  const opened: TestRepository[] = [];
  const protocols: Protocol[] = [];
  const { plugin, options, services } = subject;
  const given = { plugin, options, ...(services !== undefined && { services }) };
  const fixtures: Fixtures = {
    subject,
    async create() {
      const protocol = await createProtocol(given);
      protocols.push(protocol);
      return protocol;
    },
    async open({ change, ...more }: OpenOptions = {}) {
      const repository = await openTestRepository({ ...given, ...more });
      opened.push(repository);
      for (const path of Object.keys(subject.fixtures)) {
        const at = pathOf(path);
        const recorded = fixtureAt(subject, at, repository.upstreamUrl) as Fixture;
        const fixture = change === undefined ? recorded : change(at, recorded);
        if (fixture !== undefined) repository.upstream.serve(at, fixture);
      }
      return repository;
    },
    async served(kind: 'artifact' | 'document') {
      const protocol = await fixtures.create();
      const found: Served[] = [];
      for (const { request, status } of subject.cases) {
        const asked = asRequest(request);
        if (status !== 200 || (asked.method ?? 'GET') !== 'GET') continue;
        const resource = routeRequest(protocol, asked, plugin.dotSegments);
        if (typeof resource === 'string' || resource.kind !== kind || ruleOf(subject, resource).policy === 'bypass')
          continue;
        found.push({ request: asked, resource });
      }
      return found as never;
    },
    async asked(request) {
      const repository = await fixtures.open();
      await repository.ask(request);
      await repository.close();
      return repository.upstream.requests.map(({ path }) => path);
    },
    async close() {
      for (const repository of opened) await repository.close();
      for (const protocol of protocols) await protocol.dispose?.();
    },
  };
  return fixtures;
}

function pathOf(path: string): string {
  return `${UPSTREAM_PATH}/${path.replace(/^\//, '')}`;
}

/** What the upstream has at `path`, with its base URL filled in and a validator. */
function fixtureAt({ fixtures }: ProtocolSubject, path: string, upstreamUrl: string): Fixture | undefined {
  const name = Object.keys(fixtures).find((candidate) => pathOf(candidate) === path);
  const fixture = name === undefined ? undefined : fixtures[name];
  if (fixture === undefined) return undefined;
  const body = typeof fixture.body === 'string' ? fixture.body.replaceAll('{{upstream}}', upstreamUrl) : fixture.body;
  const bare = (fixture.status ?? 200) === 200 && fixture.etag === undefined && fixture.lastModified === undefined;
  // The host of the upstream differs from run to run, so the tag is made from the recorded body.
  const etag = bare ? { etag: `"${digestOf(fixture.body ?? '').slice(7, 23)}"` } : {};
  return { ...fixture, ...(body !== undefined && { body }), ...etag };
}

/** Lets a kept document go stale, but not too old. `false` when it never does. */
function outlive(repository: TestRepository, subject: ProtocolSubject, resource: Stored): boolean {
  const { policy, freshFor } = ruleOf(subject, resource);
  if (policy !== 'revalidate' || freshFor === Infinity) return false;
  repository.clock.advance(freshFor + 1);
  return true;
}

function ruleOf({ plugin }: ProtocolSubject, { class: name, freshness }: Stored) {
  return Object.assign({}, freshnessOf(plugin)[name], freshness);
}

function outageFault(outage: '500' | '429' | 'captive portal'): Fault {
  return outage === 'captive portal' ? { kind: 'captive-portal' } : { kind: 'status', status: Number(outage) };
}

function isHtml(fixture: Fixture | undefined): boolean {
  return fixture?.mediaType?.includes('html') === true;
}

function isVersion({ coordinates }: PolicyInput): boolean {
  return coordinates.version !== undefined;
}

function withHeaders(request: TestRequest, headers: Readonly<Record<string, string>>): TestRequest {
  return { ...request, headers: { ...request.headers, ...headers } };
}

function withoutMethod(resource: Resource | string): unknown {
  if (typeof resource === 'string' || resource.kind !== 'passthrough') return resource;
  const { method: _method, ...rest } = resource;
  return rest;
}

/** No path of the upstream was asked for twice. */
function assertAskedOnce({ upstream }: TestRepository, label: string): void {
  const paths = upstream.requests.map(({ method, path }) => `${method} ${path}`);
  const again = paths.filter((path, index) => paths.indexOf(path) !== index);
  assert.deepEqual(again, [], `${label}: the upstream was asked again`);
}

function assertSameBytes(found: Buffer, expected: Buffer, label: string): void {
  assert.ok(found.equals(expected), `${label}: expected ${describeBytes(expected)}, found ${describeBytes(found)}`);
}

function describeBytes(bytes: Buffer): string {
  return `${bytes.length} bytes of ${digestOf(bytes).slice(0, 19)}…`;
}

/** mulberry32: the same numbers in every run. */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
