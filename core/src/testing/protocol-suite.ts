import assert from 'node:assert/strict';
import { EntrepotError, ERROR_KINDS } from '../api/errors.js';
import { parseOptions } from '../api/options.js';
import { isCompatible } from '../api/version.js';
import type { Fault, Fixture } from './fake-upstream.js';
import { linksOf } from './document-links.js';
import { denyingVersion, FixedPolicy } from './fixed-policy.js';
import { assertFacts, attemptRoute, fuzzed, gets, hostilePaths, isHostile, routed } from './hostile-requests.js';
import { fixtureAt, type Fixtures, openFixtures, outlive, type ProtocolSubject, ruleOf } from './protocol-subject.js';
import { assertBodiless, withHeaders } from './replies.js';
import { asRequest, printRequest, routeRequest, shownAs } from './route-table.js';
import { cacheClassesOf, kindsOf } from '../engine/request/protocol.js';
import { digestOf } from './sample-bytes.js';
import { defineListing, storedFacts } from './listed-versions.js';
import { type Checks, defineChecks, type SuiteRunner } from './suite.js';
import { type TestReply, type TestRepository, UPSTREAM_PATH } from './test-repository.js';

/** Features of the ecosystem. Each is on by default. */
export interface ProtocolCapabilities {
  /** Artifacts are promised an integrity. */
  readonly integrity?: boolean;
  /** Documents are rewritten, and name artifacts by URL. */
  readonly rewriting?: boolean;
  /** Artifacts have coordinates with a version, and errors are rendered for the ecosystem's clients. */
  readonly policy?: boolean;
  /** Documents say when versions were published. */
  readonly dates?: boolean;
}

const KINDS: ReadonlySet<string> = new Set(['artifact', 'document', 'local', 'passthrough', 'alias', 'upload']);
const SECRET = 'client-secret-3f9a';

/** Runs a plugin in the real pipeline and checks what every protocol promises. Give the same `subject` to `runSuite`. */
export function protocolSuite(
  runner: SuiteRunner,
  subject: ProtocolSubject,
  { integrity = true, rewriting = true, policy = true, dates = true }: ProtocolCapabilities = {},
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
      defineRewriting(checks, rewriting, subject.links !== 'none');
      defineDenial(checks, policy);
      defineListing(checks, subject, { rewriting, policy, dates });
      defineClosing(checks);
    },
  );
}

function defineHandshake({ check }: Checks<Fixtures>): void {
  check('says what it is', async ({ subject: { plugin } }) => {
    assert.equal(plugin.kind, 'protocol');
    assert.match(plugin.id, /^[a-z0-9-]+$/, 'id: expected lower-case letters, digits and "-"');
    assert.ok(isCompatible(plugin.apiVersion), `apiVersion: this core does not serve ${plugin.apiVersion}`);
    assert.ok(kindsOf(plugin).length > 0, 'expected proxy, hosted or both');
    for (const [name, { kind, about }] of Object.entries(cacheClassesOf(plugin))) {
      assert.ok(['artifact', 'document'].includes(kind), `classes.${name}.kind: found ${kind}`);
      assert.ok(about.trim() !== '', `classes.${name}.about: expected a line for the reference`);
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
      const found = routeRequest(protocol, asRequest(request), subject.plugin.http);
      const label = printRequest(asRequest(request));
      if (resource === undefined || typeof resource === 'string') {
        assert.deepEqual(found, resource ?? 'not-found', label);
        continue;
      }
      assert.ok(typeof found !== 'string', `${label}: expected ${JSON.stringify(resource)}, found ${String(found)}`);
      const shown = shownAs(found) as Readonly<Record<string, unknown>>;
      // A member that the name lacks is a fact of its class.
      const facts = found as unknown as Readonly<Record<string, unknown>>;
      const named = Object.keys(resource).map((field) => [field, field in shown ? shown[field] : facts[field]]);
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
      assert.deepEqual(structuredClone(shownAs(resource)), shownAs(resource), 'expected plain data');
      if (resource.kind !== 'artifact' && resource.kind !== 'document') continue;
      const { kind } = cacheClassesOf(subject.plugin)[resource.class] ?? {};
      assert.equal(kind, resource.kind, `the class "${resource.class}" of ${resource.key}`);
      assert.ok(resource.key !== '', 'expected a key');
    }
  });

  check('routes HEAD as GET', async ({ subject, create }) => {
    const protocol = await create();
    for (const request of gets(subject)) {
      const get = attemptRoute(protocol, subject, request);
      assert.deepEqual(attemptRoute(protocol, subject, { ...request, method: 'HEAD' }), get, printRequest(request));
    }
  });

  check('gives different bytes different keys', async ({ subject, create }) => {
    const protocol = await create();
    const places = new Map<string, string>();
    for (const { label, resource } of [...routed(protocol, subject), ...fuzzed(protocol, subject)]) {
      if (resource.kind !== 'artifact' && resource.kind !== 'document') continue;
      const { kind, upstreamPath, upstreamScope, accept } = resource;
      const integrity = resource.kind === 'artifact' ? resource.integrity : undefined;
      // Bytes with a sum are the same wherever they are.
      const source =
        integrity === undefined || integrity.length === 0 ? { upstreamPath, upstreamScope } : { integrity };
      const place = JSON.stringify({ kind, class: resource.class, ...source, accept });
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

  check('computes all facts of anything that it routes, the same each time', async ({ subject, create }) => {
    assertFacts(await create(), subject);
  });
}

function defineAttacks({ check }: Checks<Fixtures>): void {
  check('never leaves the upstream that it is given', async ({ subject, create }) => {
    const protocol = await create();
    const base = 'https://upstream.example.com/a/base/';
    for (const { label, resource } of [...routed(protocol, subject), ...fuzzed(protocol, subject)]) {
      if (!('upstreamPath' in resource)) continue;
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

  check('has something to serve', async ({ subject, create, served }) => {
    const kinds = new Set(Object.values(cacheClassesOf(subject.plugin)).map(({ kind }) => kind));
    // What a path stands for is only known when it is asked for.
    const protocol = await create();
    const found = subject.cases.filter(({ status }) => status === 200).map(({ request }) => asRequest(request));
    const resources = found.map((request) => routeRequest(protocol, request, subject.plugin.http));
    if (resources.some((resource) => typeof resource !== 'string' && resource.kind === 'alias')) return;
    if (kinds.has('artifact'))
      assert.ok((await served('artifact')).length > 0, 'cases: expected an artifact with status 200');
    if (kinds.has('document'))
      assert.ok((await served('document')).length > 0, 'cases: expected a document with status 200');
  });

  check(
    'serves an artifact as it was recorded, and asks the upstream once',
    async ({ subject, open, served, pathOf }) => {
      for (const { request, label } of await served('artifact')) {
        const repository = await open();
        const recorded = fixtureAt(subject, await pathOf(request), repository.upstreamUrl);
        const [first, second] = [await repository.ask(request), await repository.ask(request)];
        assert.ok(first.error === undefined && second.error === undefined, `${label}: the body broke off`);
        if (recorded !== undefined) assertSameBytes(first.body, Buffer.from(recorded.body ?? ''), label);
        assertSameBytes(second.body, first.body, `${label}, again`);
        assert.equal(second.outcome, 'hit', label);
        assertAskedOnce(repository, label);
      }
    },
  );

  check('asks the upstream once for fifty clients', async ({ open, served, pathOf }) => {
    for (const { request, label } of await served()) {
      const repository = await open();
      const path = await pathOf(request);
      const gate = repository.upstream.hold(path);
      const replies = Array.from({ length: 50 }, () => repository.ask(request));
      await Promise.race([gate.reached, Promise.all(replies)]);
      gate.open();
      const [first, ...others] = await Promise.all(replies);
      assert.equal(first?.status, 200, label);
      for (const other of others) assertSameBytes(other.body, (first as TestReply).body, label);
      assertAskedOnce(repository, label);
      await repository.close();
    }
  });

  check('serves ranges of an artifact', async ({ open, served }) => {
    for (const { request, label } of await served('artifact')) {
      const repository = await open();
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
    for (const { request, label } of await served()) {
      const repository = await open();
      await repository.ask(request);
      const get = await assertBodiless(repository, request);
      assert.equal(Number(get.headers['content-length']), get.body.length, `content-length of ${label}`);
      const changed = await repository.ask(withHeaders(request, { 'if-none-match': '"another"' }));
      assertSameBytes(changed.body, get.body, label);
    }
  });

  check('keeps what clients send about themselves from the upstream', async ({ subject, create, open }) => {
    const repository = await open();
    const protocol = await create();
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
    // Headers of a client are shown, where the upstream chooses by them.
    const shown = subject.cases.flatMap(({ request }) => {
      const resource = routeRequest(protocol, withHeaders(asRequest(request), secrets), subject.plugin.http);
      return typeof resource === 'object' && 'askedWith' in resource ? Object.keys(resource.askedWith ?? {}) : [];
    });
    for (const name of shown) assert.ok(['accept', 'user-agent'].includes(name), `askedWith names ${name}`);
    for (const { method, path, headers: sent } of repository.upstream.requests) {
      const headers = Object.fromEntries(Object.entries(sent).filter(([name]) => !shown.includes(name)));
      assert.ok(
        !JSON.stringify(headers).includes(SECRET),
        `${method} ${path}: the upstream got a header of the client`,
      );
    }
  });
}

function defineFreshness({ check }: Checks<Fixtures>): void {
  check('revalidates a document with the validators that it kept', async ({ subject, open, served, pathOf }) => {
    for (const { request, resource, label } of await served('document')) {
      const path = await pathOf(request);
      const repository = await open();
      const first = await repository.ask(request);
      if (!outlive(repository, subject, resource)) continue;
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

  check('serves a kept document while the upstream fails', async ({ subject, open, served, pathOf }) => {
    for (const { request, resource, label } of await served('document')) {
      const path = await pathOf(request);
      const rule = ruleOf(subject, resource);
      for (const outage of ['500', '429', 'captive portal', 'offline'] as const) {
        const repository = await open();
        const first = await repository.ask(request);
        if (!outlive(repository, subject, resource) || rule.staleIfError <= 0) continue;
        const fixture = fixtureAt(subject, path, repository.upstreamUrl);
        // A page for a page: only its content could tell.
        if (outage === 'captive portal' && (!resource.isRendered || isHtml(fixture))) continue;
        if (outage === 'offline') repository.upstream.goOffline();
        else repository.upstream.serve(path, { ...fixture, fault: outageFault(outage) });
        const second = await repository.ask(request);
        assert.deepEqual([second.status, second.outcome], [200, 'stale'], `${label} (${outage})`);
        assertSameBytes(second.body, first.body, `${label} (${outage})`);
        await repository.close();
      }
    }
  });

  check('passes on that the upstream has nothing', async ({ open, served, pathOf }) => {
    for (const { request, resource, label } of await served()) {
      if (resource.kind === 'document' && resource.alternative !== undefined) continue;
      const gone = await pathOf(request);
      const repository = await open({ change: (path, fixture) => (path === gone ? undefined : fixture) });
      assert.equal((await repository.ask(request)).status, 404, label);
      assert.equal(await repository.entries.find('test', resource.key), undefined, label);
      await repository.close();
    }
  });
}

function defineFaults({ check, checkIf }: Checks<Fixtures>, integrity: boolean): void {
  async function assertRefused({ open, served, pathOf }: Fixtures, fault: Fault): Promise<void> {
    for (const { request, resource, label } of await served('artifact')) {
      const path = await pathOf(request);
      const repository = await open({
        change: (at, fixture) => (at === path ? { ...fixture, ranges: false, fault } : fixture),
      });
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

  check('takes no login page for a rewritten document', async ({ subject, open, served, pathOf }) => {
    for (const { request, resource, label } of await served('document')) {
      const path = await pathOf(request);
      const repository = await open();
      const fixture = fixtureAt(subject, path, repository.upstreamUrl);
      if (!resource.isRendered || isHtml(fixture)) continue;
      repository.upstream.serve(path, { ...fixture, fault: { kind: 'captive-portal', times: 1 } });
      const portal = await repository.ask(request);
      // Where some upstreams have no such documents, a page is how they say so.
      if (resource.unknownToSome !== true) {
        assert.ok(portal.status >= 500, `${label}: expected an upstream failure, found ${portal.status}`);
      }
      assert.equal(await repository.entries.find('test', resource.key), undefined, `${label} was stored`);
      assert.equal((await repository.ask(request)).status, 200, `${label}, when the page has gone`);
      await repository.close();
    }
  });
}

function defineRewriting({ checkIf }: Checks<Fixtures>, rewriting: boolean, hasLinks: boolean): void {
  const reason = 'rewriting is off';
  const noLinks = rewriting ? 'links are none' : reason;

  checkIf(rewriting, reason, 'rewrites documents so that no client is sent past it', async ({ open, served }) => {
    for (const { request, resource, label } of await served('document')) {
      if (!resource.isRendered) continue;
      const repository = await open();
      const text = (await repository.ask(request)).body.toString();
      const { host } = new URL(repository.upstream.url);
      // JSON may spell "/" as "\/".
      assert.ok(!text.replaceAll('\\/', '/').includes(host), `${label} names the host of the upstream`);
    }
  });

  checkIf(
    rewriting && hasLinks,
    noLinks,
    'rewrites links so that they route to artifacts',
    async ({ subject, open, served }) => {
      let artifacts = 0;
      for (const { request, resource, label } of await served('document')) {
        if (!resource.isRendered) continue;
        const repository = await open();
        for (const { link, resource: found } of linksOf(repository, subject, request, await repository.ask(request))) {
          assert.ok(typeof found !== 'string', `${label} links to ${link}, which is ${String(found)}`);
          if (found.kind === 'artifact') artifacts += 1;
        }
      }
      assert.ok(artifacts > 0, 'expected a document that links to an artifact, found none');
    },
  );
}

function defineDenial({ check, checkIf }: Checks<Fixtures>, policy: boolean): void {
  checkIf(
    policy,
    'policy is off',
    'refuses a denied artifact in the shape of its clients',
    async ({ open, served, pathOf }) => {
      let denied = 0;
      const allowed = await open();
      for (const one of await served('artifact')) {
        const { request, resource, label } = one;
        const { coordinates } = await storedFacts(allowed, one);
        if (coordinates === undefined) continue;
        denied += 1;
        const path = await pathOf(request);
        // Bytes that tell policy of themselves have to be read first.
        const isRead = resource.describedBy.some(({ upstreamPath }) => upstreamPath === resource.upstreamPath);
        const rule = denyingVersion(coordinates, resource.refusedOnlyIfMalicious);
        const repository = await open({ policy: new FixedPolicy([rule]) });
        const reply = await repository.ask(request);
        assert.equal(reply.outcome, 'denied', label);
        assert.ok(reply.status >= 400 && reply.status < 500, `${label}: expected a refusal, found ${reply.status}`);
        assert.match(reply.body.toString(), /denied by the kit/, `${label}: expected the reason in the body`);
        const head = await repository.ask({ ...request, method: 'HEAD' });
        assert.deepEqual([head.status, head.body.length], [reply.status, 0], `HEAD of ${label}`);
        assert.ok(
          isRead || repository.upstream.requests.every((found) => found.path !== path),
          `${label}: the upstream was asked for what is denied`,
        );
        const shape = repository.protocol.renderError(new EntrepotError('policy-denied', 'x'));
        if (shape !== undefined) assert.equal(reply.headers['content-type'], shape.mediaType, label);
      }
      assert.ok(denied > 0, 'expected an artifact with coordinates, found none');
    },
  );

  check('prints every error', async ({ create }) => {
    const protocol = await create();
    for (const kind of ERROR_KINDS) {
      const rendered = protocol.renderError(new EntrepotError(kind, `why "it" failed\nä 😀`, { retryAfter: 1 }));
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
      await protocol.dispose();
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

/** Counts the resources that keep the process alive, by kind. */
function resources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

function outageFault(outage: '500' | '429' | 'captive portal'): Fault {
  return outage === 'captive portal' ? { kind: 'captive-portal' } : { kind: 'status', status: Number(outage) };
}

function isHtml(fixture: Fixture | undefined): boolean {
  return fixture?.mediaType?.includes('html') === true;
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
