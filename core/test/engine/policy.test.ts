import { describe, expect, it } from 'vitest';
import {
  artifactClass,
  documentClass,
  type ArtifactDescription,
  type ArtifactFacts,
  type Content,
  EntrepotError,
  type FactName,
  type FirstFetch,
  parseSri,
  type Parsed,
  type PolicyDecision,
  type PolicyEngine,
  type PolicyInput,
  type RenderRequest,
  type Resource,
  type ScanAnswer,
  type ScanDesk,
  type ScanReport,
  type VerifyContext,
} from '../../src/index.js';
import type { DecisionRecord } from '../../src/engine/index.js';
import { cacheControlUntil } from '../../src/engine/reply/respond.js';
import { FixedPolicy } from '../../src/testing/index.js';
import {
  openHarness,
  parsedOf,
  patterned,
  sri,
  withClasses,
  type Harness,
  type HarnessOptions,
  type TestSide,
} from './harness.js';

const HOUR = 3_600_000;
const NAMED = 'packages/tool-1.0.0';
const SUFFIX = /\.(?:sig|prov)$/;

const INDEX: Resource = { class: 'index', key: 'index', path: 'index' };

/** Reads lines `key sri facts`. */
async function parseIndex(content: Content): Promise<ParsedIndex> {
  const found = new Map<string, ArtifactDescription>();
  for (const line of Buffer.from(await content.bytes(1e6))
    .toString()
    .split('\n')
    .filter(Boolean)) {
    const [key = '', integrity = '', facts = '{}'] = line.split(' ');
    const [name = '', version] = key.replace('packages/', '').replace(SUFFIX, '').split('-');
    const coordinates = { ecosystem: 'test', name, version };
    found.set(key, { integrity: parseSri(integrity), coordinates, ...(JSON.parse(facts) as ArtifactFacts) });
  }
  return { ...parsedOf(found), found };
}

interface ParsedIndex extends Parsed {
  readonly found: ReadonlyMap<string, ArtifactDescription>;
}

type Parse = (content: Content, context: VerifyContext) => Promise<Parsed>;

/** Reads dates only where they are wanted, as where that costs a request. */
const parseDated: Parse = async (content, { needs }) => {
  const parsed = await parseIndex(content);
  if (needs.has('publishedAt')) return parsed;
  return parsedOf(new Map([...parsed.found].map(([key, { publishedAt: _date, ...rest }]) => [key, rest])));
};

const render = async function* (document: Parsed, { admits, refusal }: RenderRequest) {
  for (const [, description] of document.descriptions?.() ?? []) {
    const { coordinates } = description;
    if (coordinates === undefined) continue;
    yield `${coordinates.version} ${admits(coordinates, description) ? 'listed' : refusal(coordinates, description)}\n`;
  }
};
const trust = { describedBy: () => INDEX };

/** A format whose index (lines `key sri facts`) says what policy wants to know, and which has sidecars. */
function sideOf(parse: Parse = parseIndex): TestSide {
  return withClasses(
    {
      index: documentClass({
        about: 'all versions',
        reply: { render },
        parse: (content, _resource, context) => parse(content, context),
      }),
      name: documentClass({
        about: 'the versions of a name',
        reply: { render },
        policy: { refusal: () => ({ status: 200, body: 'nothing' }) },
        parse: async () => parsedOf(new Map()),
      }),
      proof: documentClass({ about: 'tells of a file', trust }),
      signature: artifactClass({ about: 'tells of a file', trust, policy: { sidecar: true } }),
      package: artifactClass({
        about: 'a file',
        trust,
        policy: { refusedOnlyIfMalicious: ({ attributes }) => attributes?.['needed'] === true },
      }),
    },
    {
      route({ segments, query }) {
        const [area, file = ''] = segments;
        const path = segments.join('/');
        const [name = '', version] = file.replace(SUFFIX, '').split('-');
        const common = { key: path, path, coordinates: { ecosystem: 'test', name, version } };
        if (area === 'index') return { ...INDEX, coordinates: { ecosystem: 'test', name: 'tool' } };
        if (area === 'name') return { class: 'name', ...common };
        if (area !== 'packages') return undefined;
        if (file.endsWith('.prov')) return { class: 'proof', ...common };
        if (file.endsWith('.sig')) return { class: 'signature', ...common };
        return { class: 'package', attributes: { needed: query.has('needed') }, ...common };
      },
    },
  );
}

const side = sideOf();

/** A policy from a function that says what fires. */
function policyOf(decide: (input: PolicyInput) => Partial<PolicyDecision> | undefined, firstFetch?: FirstFetch) {
  const inputs: PolicyInput[] = [];
  let revision = 1;
  const policy: PolicyEngine & { inputs: PolicyInput[]; renew(): void } = {
    inputs,
    renew: () => void (revision += 1),
    revision: () => String(revision),
    needs: () => new Set(['publishedAt', 'upstream']),
    evaluate(input) {
      inputs.push(input);
      return { action: 'allow', rules: [], ...decide(input) };
    },
    ...(firstFetch && { firstFetch: () => firstFetch }),
  };
  return policy;
}

const COOLDOWN = policyOf.bind(undefined, ({ coordinates, facts, now }) => {
  if (coordinates.version === undefined) return undefined;
  const ripe = (facts.publishedAt ?? now) + 72 * HOUR;
  if (now >= ripe) return undefined;
  return { action: 'hold', rules: [{ id: 'cooldown', action: 'hold', reason: 'too new' }], nextChangeAt: ripe };
});

async function open(options: HarnessOptions, body: string | Buffer = 'tool'): Promise<Harness> {
  const harness = await openHarness({ side, document: { freshFor: HOUR }, ...options });
  harness.upstream.serve(`/${NAMED}`, { body });
  return harness;
}

function publish(
  { upstream, clock }: Harness,
  facts: ArtifactFacts = { publishedAt: clock.now() },
  body: string | Buffer = 'tool',
): void {
  upstream.serve('/index', {
    body: `${NAMED} ${sri(body)} ${JSON.stringify(facts)}\n${NAMED}.sig  ${JSON.stringify(facts)}\n${NAMED}.prov  ${JSON.stringify(facts)}`,
  });
}

describe('facts', () => {
  it('reach policy before the first byte, are kept with the entry, and decide when nothing else is at hand', async () => {
    const first = await open({ policy: policyOf(() => undefined) });
    publish(first, { publishedAt: 17, licenses: ['MIT'] });
    expect((await first.get(`/${NAMED}`)).status).toBe(200);
    await first.landed();
    expect((await first.entries.find('test', NAMED))?.facts).toEqual({ publishedAt: 17, licenses: ['MIT'] });
    // Another process, without the document.
    await first.entries.remove('test', 'index');
    const policy = policyOf(
      ({ facts }) =>
        (facts.licenses?.includes('MIT') && {
          action: 'deny',
          rules: [{ id: 'no-mit', action: 'deny', reason: 'MIT' }],
        }) ||
        undefined,
    );
    const replica = await open({ policy, shared: first });
    const refused = await replica.get(`/${NAMED}`);
    expect(refused.status).toBe(403);
    expect(replica.upstream.requests).toEqual([]);
    expect(policy.inputs.at(-1)).toMatchObject({
      stage: 'content',
      coordinates: { ecosystem: 'test', name: 'tool', version: '1.0.0' },
      facts: { publishedAt: 17 },
      storedAt: first.clock.now(),
      size: 4,
      integrity: [{ algorithm: 'sha512' }, { algorithm: 'sha256' }],
    });
    expect(policy.inputs.at(-1)?.digest).toMatch(/^sha256:/);
  });

  it('of the document in force go over those that were kept, and are noted', async () => {
    const policy = policyOf(({ facts }) =>
      facts.deprecated === true ? { action: 'deny', rules: [{ id: 'r', action: 'deny', reason: 'x' }] } : undefined,
    );
    const harness = await open({ policy });
    publish(harness);
    expect((await harness.get(`/${NAMED}`)).status).toBe(200);
    publish(harness, { deprecated: true });
    harness.clock.advance(2 * HOUR);
    await (await harness.get('/index')).text();
    expect((await harness.get(`/${NAMED}`)).status).toBe(403);
    expect((await harness.entries.find('test', NAMED))?.facts).toMatchObject({ deprecated: true });
    publish(harness, {});
    harness.clock.advance(2 * HOUR);
    await (await harness.get('/index')).text();
    expect((await harness.get(`/${NAMED}`)).status).toBe(200);
  });

  it('say what has gone from its document: kept bytes are served, unless a rule says otherwise', async () => {
    let strict = false;
    const policy = policyOf(({ facts }) =>
      strict && facts.upstream === 'removed'
        ? { action: 'deny', rules: [{ id: 'gone', action: 'deny', reason: 'removed' }] }
        : undefined,
    );
    const harness = await open({ policy });
    publish(harness);
    expect((await harness.get(`/${NAMED}`)).status).toBe(200);
    harness.upstream.serve('/index', { body: 'packages/tool-2.0.0 ' });
    harness.clock.advance(2 * HOUR);
    await (await harness.get('/index')).text();
    expect((await harness.get(`/${NAMED}`)).status).toBe(200);
    expect((await harness.entries.find('test', NAMED))?.facts?.upstream).toBe('removed');
    strict = true;
    policy.renew();
    expect((await harness.get(`/${NAMED}`)).status).toBe(403);
  });

  it('say of all that a document listed that it is gone, as long as the document is', async () => {
    const policy = policyOf(({ facts }) =>
      facts.upstream === 'removed'
        ? { action: 'deny', rules: [{ id: 'gone', action: 'deny', reason: 'removed' }] }
        : undefined,
    );
    const first = await open({ policy });
    publish(first, {});
    expect((await first.get(`/${NAMED}`)).status).toBe(200);
    first.upstream.serve('/index', { status: 404, body: '' });
    first.clock.advance(2 * HOUR);
    expect((await first.get('/index')).status).toBe(404);
    expect((await first.get(`/${NAMED}`)).status).toBe(403);
    const restarted = await open({ policy, shared: first });
    expect((await restarted.get(`/${NAMED}`)).status).toBe(403);
    publish(first, {});
    first.clock.advance(2 * HOUR);
    await (await first.get('/index')).text();
    first.clock.advance(2 * HOUR);
    expect((await first.get(`/${NAMED}`)).status).toBe(200);
    const again = await open({ policy, shared: first });
    expect((await again.get(`/${NAMED}`)).status).toBe(200);
  });

  it('are looked for once a day where clients ask for nothing but what is kept', async () => {
    const policy = policyOf(({ facts }) =>
      facts.upstream === 'quarantined' || facts.upstream === 'removed'
        ? { action: 'deny', rules: [{ id: 'gone', action: 'deny', reason: 'removed' }] }
        : undefined,
    );
    const harness = await open({ policy });
    publish(harness, {});
    expect((await harness.get(`/${NAMED}`)).status).toBe(200);
    harness.upstream.serve('/index', { body: 'packages/tool-2.0.0 ' });
    harness.clock.advance(23 * HOUR);
    expect((await harness.get(`/${NAMED}`)).status).toBe(200);
    expect(harness.upstream.count('/index')).toBe(1);
    harness.clock.advance(2 * HOUR);
    expect((await harness.get(`/${NAMED}`)).status).toBe(200);
    while ((await harness.get(`/${NAMED}`)).status !== 403) {
      // A ready reply is good for its second.
      harness.clock.advance(1_000);
      await new Promise(setImmediate);
    }
    expect(harness.upstream.count('/index')).toBe(2);
    expect(harness.upstream.count(`/${NAMED}`)).toBe(1);
  });

  it('are read anew for what was kept before there were any', async () => {
    const first = await open({});
    publish(first, { publishedAt: first.clock.now() });
    expect((await first.get(`/${NAMED}`)).status).toBe(200);
    await first.landed();
    const { facts: _facts, factsFrom: _from, ...bare } = (await first.entries.find('test', NAMED)) ?? expect.fail();
    await first.entries.replace(bare);
    const later = await open({ policy: COOLDOWN(), shared: first });
    later.clock.advance(HOUR);
    expect((await later.get(`/${NAMED}`)).status).toBe(403);
    later.clock.advance(80 * HOUR);
    expect((await later.get(`/${NAMED}`)).status).toBe(200);
    expect(later.upstream.count(`/${NAMED}`)).toBe(0);
  });
});

describe('what a document said', () => {
  const noLicence = (): ReturnType<typeof policyOf> =>
    policyOf(({ facts }) =>
      facts.licenses === undefined && facts.upstream !== 'quarantined'
        ? undefined
        : { action: 'deny', rules: [{ id: 'r', action: 'deny', reason: 'x' }] },
    );

  it('before it was replaced is not taken for what it says now, also after a restart', async () => {
    const first = await open({ policy: noLicence() });
    publish(first, {});
    expect((await first.get(`/${NAMED}`)).status).toBe(200);
    publish(first, { licenses: ['MIT'] });
    first.clock.advance(2 * HOUR);
    await (await first.get('/index')).text();
    const restarted = await open({ policy: noLicence(), shared: first });
    restarted.clock.advance(2 * HOUR);
    expect((await restarted.get(`/${NAMED}`)).status).toBe(403);
    expect(restarted.upstream.requests).toEqual([]);
  });

  it('is noted once with what it is from, and the document is not read again after a restart', async () => {
    let read = 0;
    const counting = sideOf(async (content) => {
      read += 1;
      return await parseIndex(content);
    });
    const first = await open({ policy: noLicence(), side: counting });
    publish(first, {});
    expect((await first.get(`/${NAMED}`)).status).toBe(200);
    const restarted = await open({ policy: noLicence(), shared: first, side: counting });
    expect((await restarted.get(`/${NAMED}`)).status).toBe(200);
    expect(read).toBe(1);
  });

  it('of all that it does not list any more holds for what is kept', async () => {
    let isHeldBack = false;
    const held = sideOf(async (content) => {
      const found = await parseIndex(content);
      return isHeldBack ? { weight: 0, unlisted: { upstream: 'quarantined' } } : found;
    });
    const harness = await open({ policy: noLicence(), side: held });
    publish(harness, {});
    for (const path of [`/${NAMED}`, `/${NAMED}.prov`]) {
      harness.upstream.serve(path, { body: 'tool' });
      expect((await harness.get(path)).status).toBe(200);
    }
    isHeldBack = true;
    harness.upstream.serve('/index', { body: '\n' });
    harness.clock.advance(2 * HOUR);
    await (await harness.get('/index')).text();
    for (const path of [`/${NAMED}`, `/${NAMED}.prov`])
      expect([path, (await harness.get(path)).status]).toEqual([path, 403]);
  });

  it('is read again when policy looks at more than was looked for', async () => {
    let needs: ReadonlySet<FactName> = new Set(['upstream']);
    const cooldown = COOLDOWN();
    const policy: PolicyEngine = { ...cooldown, needs: () => needs };
    let isReached = 0;
    const costly = sideOf(async (content, context) => {
      isReached += 1;
      return await parseDated(content, context);
    });
    const harness = await open({ policy, side: costly });
    publish(harness, { publishedAt: harness.clock.now() - 100 * HOUR });
    expect(await (await harness.get('/index')).text()).not.toContain('listed');
    needs = new Set(['publishedAt', 'upstream']);
    cooldown.renew();
    expect(await (await harness.get('/index')).text()).toContain('1.0.0 listed');
    expect((await harness.get(`/${NAMED}`)).status).toBe(200);
    needs = new Set(['publishedAt']);
    cooldown.renew();
    expect(await (await harness.get('/index')).text()).toContain('1.0.0 listed');
    expect(isReached).toBe(2);
  });

  it('of kept bytes is read again for a fact that nobody looked for when they were fetched', async () => {
    const costly = sideOf(parseDated);
    const upstreamOnly: PolicyEngine = { ...policyOf(() => undefined), needs: () => new Set(['upstream']) };
    const first = await open({ policy: upstreamOnly, side: costly });
    publish(first, { publishedAt: first.clock.now() - 100 * HOUR });
    expect((await first.get(`/${NAMED}`)).status).toBe(200);
    const restarted = await open({ policy: COOLDOWN(), side: costly, shared: first });
    expect((await restarted.get(`/${NAMED}`)).status).toBe(200);
  });
});

describe('a document whose bytes are lost', () => {
  it('is fetched again by whoever needs what it says', async () => {
    const first = await open({});
    publish(first);
    await (await first.get('/index')).text();
    // Whoever asks again waits until it is kept.
    await first.get('/index');
    const { digest } = (await first.entries.find('test', 'index')) ?? expect.fail();
    await first.blobs.delete(digest);
    const later = await open({ policy: COOLDOWN(), shared: first });
    publish(later);
    expect((await later.get(`/${NAMED}`)).status).toBe(403);
    later.clock.advance(80 * HOUR);
    expect((await later.get(`/${NAMED}`)).status).toBe(200);
    expect(later.upstream.count('/index')).toBe(1);
  });
});

describe('a refusal', () => {
  const rules = [
    {
      id: 'no-tool',
      action: 'deny' as const,
      reason: 'it is\r\nSet-Cookie: évil',
      matches: ({ coordinates }: PolicyInput) => coordinates.version === '1.0.0',
    },
  ];

  it('says the rule and the way to the explanation in the status line, the body and the headers', async () => {
    const harness = await open({
      policy: new FixedPolicy(rules),
      side: {
        ...side,
        renderError: ({ message }) => ({ mediaType: 'text/plain', body: message, headers: { 'npm-notice': 'x' } }),
      },
    });
    publish(harness);
    const { status, statusMessage, headers, text, outcome } = await harness.get(`/${NAMED}`);
    expect(status).toBe(403);
    expect(statusMessage).toBe(
      'Forbidden: denied by no-tool. See https://packages.example.com/-/explain/pkg:test/tool@1.0.0',
    );
    expect(headers).toMatchObject({ 'Cache-Control': 'no-store', 'npm-notice': 'x' });
    expect(await text()).toContain('(rule no-tool). See https://packages.example.com/-/explain/pkg:test/tool@1.0.0');
    expect(outcome.name).toBe('denied');
  });

  it('has a status line of printable ASCII that is not too long', async () => {
    const found = Array.from({ length: 40 }, (_, at) => ({
      id: `rule-${at}\r\nX: y`,
      action: 'deny' as const,
      reason: 'é',
      findings: ['GHSA-\r\n1'],
    }));
    const policy = policyOf(({ coordinates }) =>
      coordinates.version === undefined ? undefined : { action: 'deny', rules: found },
    );
    const harness = await open({ policy });
    publish(harness);
    const { statusMessage = '' } = await harness.get(`/${NAMED}`);
    expect(statusMessage).toMatch(/^Forbidden: denied by rule-0[ -~]{1,150}$/);
    expect(statusMessage).toMatch(/ https:\/\/packages\.example\.com\/-\/explain\/pkg:test\/tool@1\.0\.0$/);
    expect(statusMessage.length).toBeLessThanOrEqual(160);
  });

  it.each(['kept', 'cold'])(
    'meets every method, range, sidecar and document of a version that is %s',
    async (state) => {
      const harness = await open({ policy: new FixedPolicy([]) });
      const { upstream, ask } = harness;
      publish(harness);
      for (const suffix of ['', '.sig', '.prov']) upstream.serve(`/${NAMED}${suffix}`, { body: 'tool' });
      if (state === 'kept')
        for (const suffix of ['', '.sig', '.prov']) expect((await ask('GET', `/${NAMED}${suffix}`)).status).toBe(200);
      const denied = await open({ policy: new FixedPolicy(rules), shared: harness });
      publish(denied);
      for (const method of ['GET', 'HEAD'])
        for (const suffix of ['', '.sig', '.prov'])
          for (const headers of [{}, { range: 'bytes=0-1' }, { 'if-none-match': '*' }]) {
            const reply = await denied.ask(method, `/${NAMED}${suffix}`, headers);
            expect([method, suffix, headers, reply.status]).toEqual([method, suffix, headers, 403]);
          }
      expect(denied.upstream.requests.every(({ path }) => path === '/index')).toBe(true);
    },
  );

  it('of a name as a whole asks nobody, and is an empty list where clients would hide it', async () => {
    const policy = policyOf(({ coordinates: { name, version } }) =>
      name === 'ours' && version === undefined
        ? { action: 'deny', rules: [{ id: 'private', action: 'deny', reason: 'ours' }] }
        : undefined,
    );
    const { upstream, get } = await open({ policy });
    const listed = await get('/name/ours');
    expect([listed.status, await listed.text()]).toEqual([200, 'nothing']);
    expect((await get('/packages/ours-1.0.0')).status).toBe(403);
    expect((await get('/packages/ours-1.0.0.prov')).status).toBe(403);
    expect(upstream.requests).toEqual([]);
  });

  it('spares what other builds need, unless it is hostile', async () => {
    let malicious = false;
    const policy = policyOf(({ coordinates }) =>
      coordinates.version === undefined
        ? undefined
        : { action: 'deny', rules: [{ id: 'r', action: 'deny', reason: 'x', malicious }] },
    );
    const harness = await open({ policy });
    publish(harness);
    expect((await harness.get(`/${NAMED}?needed`)).status).toBe(200);
    malicious = true;
    policy.renew();
    expect((await harness.get(`/${NAMED}?needed`)).status).toBe(403);
  });
});

describe('time', () => {
  it('ends a hold, in documents and on artifacts, and no cache outlives it', async () => {
    const harness = await open({ policy: COOLDOWN() });
    publish(harness);
    harness.clock.advance(71.5 * HOUR);
    const { text, headers } = await harness.get('/index');
    expect(await text()).toContain('1.0.0 pkg:test/tool@1.0.0 is held: too new (rule cooldown). See https://');
    expect((await harness.get(`/${NAMED}`)).status).toBe(403);
    harness.clock.advance(0.5 * HOUR);
    const ripe = await harness.get('/index');
    expect(await ripe.text()).toContain('1.0.0 listed');
    expect(ripe.headers['ETag']).not.toBe(headers['ETag']);
    expect((await harness.get(`/${NAMED}`)).status).toBe(200);
  });

  it.each([
    ['public, max-age=60', 30_500, 'public, max-age=30'],
    ['public, max-age=60', 90_000, 'public, max-age=60'],
    ['public, max-age=31536000, immutable', 5000, 'public, max-age=5'],
    ['max-age=60', -1, 'max-age=0'],
    ['no-cache', 10, 'no-cache'],
    ['public, max-age=60', undefined, 'public, max-age=60'],
  ])('bounds how long caches may keep what changes: %s for %s ms', (control, left, expected) => {
    expect(cacheControlUntil(control, left === undefined ? undefined : 1000 + left, 1000)).toBe(expected);
  });
});

const REPORT: ScanReport = { scanner: 's', revision: '1', scannedAt: 0, coverage: 'full', findings: [] };

/** A desk with an answer that a test gives. */
class FakeDesk implements ScanDesk {
  answer: ScanAnswer | undefined;
  readonly wishes: string[] = [];
  #waiting: ((answer: ScanAnswer) => void)[] = [];

  peek(): ScanAnswer | undefined {
    return this.answer;
  }

  request(_subject: unknown, { priority }: { priority: string }): Promise<ScanAnswer> {
    this.wishes.push(priority);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(answer: ScanAnswer): void {
    this.answer = answer;
    for (const resolve of this.#waiting) resolve(answer);
  }
}

describe('a scan that is not done', () => {
  const waiting = (
    deadline: number,
    onTimeout: FirstFetch['onTimeout'],
    action: FirstFetch['action'] = 'hold',
  ): ReturnType<typeof policyOf> =>
    policyOf(
      ({ reports, coordinates }) => {
        if (coordinates.version === undefined) return undefined;
        if (reports === undefined) return { pending: true };
        return reports.every(({ findings }) => findings.length === 0)
          ? undefined
          : { action: 'deny', rules: [{ id: 'scan', action: 'deny', reason: 'found' }] };
      },
      { action, deadline, onTimeout },
    );
  const evil = {
    ...REPORT,
    findings: [{ id: 'X-1', aliases: [], severity: 'high' as const, fixedIn: [], source: 's' }],
  };

  it.each([
    ['is clean', REPORT, 200],
    ['has findings', evil, 403],
  ])('keeps its client waiting, who then hears that it %s', async (_, report, status) => {
    const desk = new FakeDesk();
    const harness = await open({ policy: waiting(60_000, 'deny'), scanDesk: desk }, patterned(300_000));
    publish(harness, {}, patterned(300_000));
    const answers = Promise.all([harness.get(`/${NAMED}`), harness.get(`/${NAMED}`)]);
    while (desk.wishes.length < 2) await new Promise(setImmediate);
    desk.give({ reports: [report], failures: [] });
    expect((await answers).map((answer) => answer.status)).toEqual([status, status]);
    expect(desk.wishes).toEqual(['waiting', 'waiting']);
    expect((await harness.get(`/${NAMED}`)).status).toBe(status);
    expect(desk.wishes.length).toBe(2);
  });

  it.each([
    ['allow', 200, undefined],
    ['hold', 503, '2'],
    ['deny', 403, undefined],
  ] as const)('in time leads to what the rule says: %s', async (onTimeout, status, retryAfter) => {
    const records: DecisionRecord[] = [];
    const observer = {
      upstreamAnswered() {},
      integrityFailed() {},
      decided: (record: DecisionRecord) => void records.push(record),
    };
    const harness = await open({ policy: waiting(5, onTimeout), scanDesk: new FakeDesk(), observer });
    publish(harness);
    const { status: found, headers } = await harness.get(`/${NAMED}`);
    expect([found, headers['Retry-After']]).toEqual([status, retryAfter]);
    expect(records.at(-1)).toMatchObject({ refused: status !== 200, stage: 'content' });
  });

  it.each([
    ['allow', 'deny', 200, 'background'],
    ['deny', 'allow', 403, 'waiting'],
  ] as const)('is waited for by nobody where the first fetch is to %s', async (action, onTimeout, status, wish) => {
    const desk = new FakeDesk();
    const harness = await open({ policy: waiting(60_000, onTimeout, action), scanDesk: desk });
    publish(harness);
    expect((await harness.get(`/${NAMED}`)).status).toBe(status);
    expect(desk.wishes).toEqual([wish]);
    desk.give({ reports: [REPORT], failures: [] });
    expect((await harness.get(`/${NAMED}`)).status).toBe(200);
  });

  it('is not waited for by sidecars, nor where nobody scans', async () => {
    const desk = new FakeDesk();
    const harness = await open({ policy: waiting(60_000, 'deny'), scanDesk: desk });
    publish(harness);
    harness.upstream.serve(`/${NAMED}.sig`, { body: 'sig' });
    expect((await harness.get(`/${NAMED}.sig`)).status).toBe(200);
    expect((await harness.get(`/${NAMED}.sig`)).status).toBe(200);
    expect(desk.wishes).toEqual([]);
    const alone = await open({ policy: waiting(60_000, 'hold') });
    publish(alone);
    expect((await alone.get(`/${NAMED}`)).status).toBe(503);
  });

  it('leaves sidecars to what is known without it, also of kept ones', async () => {
    const policy = policyOf(({ coordinates, storedAt, reports }) =>
      coordinates.version !== undefined && storedAt !== undefined && reports === undefined
        ? { action: 'deny', rules: [{ id: 'first-fetch', action: 'deny', reason: 'not scanned' }] }
        : undefined,
    );
    const harness = await open({ policy });
    publish(harness);
    harness.upstream.serve(`/${NAMED}.sig`, { body: 'sig' });
    expect((await harness.get(`/${NAMED}.sig`)).status).toBe(200);
    expect((await harness.get(`/${NAMED}.sig`)).status).toBe(200);
    expect((await harness.get(`/${NAMED}`)).status).toBe(403);
  });

  it('is asked for in the background where no rule waits for it', async () => {
    const desk = new FakeDesk();
    const harness = await open({ policy: policyOf(() => undefined), scanDesk: desk });
    publish(harness);
    await (await harness.get(`/${NAMED}`)).bytes();
    await (await harness.get(`/${NAMED}`)).bytes();
    expect(desk.wishes).toEqual(['background']);
  });

  it('does not hide a failure of the desk itself', async () => {
    const desk = new FakeDesk();
    desk.request = async () => {
      throw new EntrepotError('storage', 'broken');
    };
    const harness = await open({ policy: waiting(60_000, 'allow'), scanDesk: desk });
    publish(harness);
    expect((await harness.get(`/${NAMED}`)).status).toBe(500);
  });
});

describe('whoever keeps the log', () => {
  it('hears of each request for an artifact, and of no document', async () => {
    const records: DecisionRecord[] = [];
    const observer = {
      upstreamAnswered() {},
      integrityFailed() {},
      decided: (record: DecisionRecord) => void records.push(record),
    };
    const harness = await open({ policy: COOLDOWN(), observer });
    publish(harness);
    await (await harness.get('/index')).text();
    expect(records).toEqual([]);
    await harness.get(`/${NAMED}`);
    harness.clock.advance(80 * HOUR);
    for (let time = 0; time < 3; time += 1) await (await harness.get(`/${NAMED}`)).bytes();
    expect(records.map(({ decision, refused, stage }) => [decision.action, refused, stage])).toEqual([
      ['hold', true, 'request'],
      ['allow', false, 'content'],
      ['allow', false, 'content'],
      ['allow', false, 'content'],
    ]);
    expect(records[0]).toMatchObject({ repository: 'test', revision: '1', coordinates: { version: '1.0.0' } });
    expect(records[3]?.digest).toMatch(/^sha256:/);
  });
});
