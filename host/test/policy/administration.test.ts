import { createServer } from 'node:http';
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { serve, until, type PolicyServer } from './support.js';
import { listenOnLoopback } from '../local-server.js';

const API = '/-/api/v1';
const TARBALL = '/npm/demo/-/demo-2.0.0.tgz';
const YAML = { 'content-type': 'application/yaml' };
const PURL = 'pkg:npm/demo@2.0.0';
const DENY = '{ id: not-two, match: { purl: ["pkg:npm/demo@2.0.0"] }, action: deny, reason: it is broken }';
const HOLD = '{ id: wait, match: { purl: ["pkg:npm/demo@2.0.0"] }, action: hold, reason: it is new }';

function exception(more: object = {}): object {
  return { id: 'e1', purl: [PURL], reason: 'we need it', by: 'ann', expires: '30d', ...more };
}

async function release(server: PolicyServer): Promise<void> {
  expect((await server.get(TARBALL)).status).toBe(403);
  await until(async () => (await server.get(`${API}/quarantine`)).json.quarantine.length === 1);
}

describe('explanations', () => {
  it('have the facts of what was never fetched, and the versions that a document leaves out', async () => {
    const { get } = await serve('policy: { preset: balanced }');
    const { json: version } = await get(`${API}/explain?purl=pkg:npm/demo@2.0.0`);
    expect(version.explanations).toMatchObject([
      { decision: { action: 'hold', rules: [{ id: 'cooldown' }] }, facts: { publishedAt: expect.any(Number) } },
    ]);
    const { json: name } = await get(`${API}/explain?purl=pkg:npm/demo`);
    expect(name.explanations).toMatchObject([
      { hidden: [{ purl: 'pkg:npm/demo@2.0.0', decision: { action: 'hold', rules: [{ id: 'cooldown' }] } }] },
    ]);
    const page = await get('/-/explain/pkg:npm/demo', { accept: 'text/html' });
    expect(page.text).toContain('<code>pkg:npm/demo@2.0.0</code></td><td class="hold">hold</td><td>cooldown: ');
  });

  it('are a page with headings over every column, on which what did not fire looks like no denial', async () => {
    const { get } = await serve(`policy:
      rules:
        - { id: not-two, match: { purl: ["pkg:npm/demo@2.0.0"] }, action: deny }
        - { id: large, when: { size: { gt: 1MB } }, action: deny }`);
    const { text } = await get('/-/explain/pkg:npm/demo@2.0.0', { accept: 'text/html' });
    expect(text).toContain(
      '<th scope="col">rule</th><th scope="col">action</th><th scope="col">state</th><th scope="col">why</th>',
    );
    expect(text).toContain('<tr><td>not-two</td><td class="deny">deny</td><td>fired</td>');
    expect(text).toContain(
      '<tr><td>large</td><td class="soft">(deny)</td><td>waits for the bytes, or their reports</td>',
    );
    expect(text).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
    expect(text).toContain('.wide { overflow-x: auto }');
    expect(text.match(/<table>/g)?.length).toBe(text.match(/<div class="wide"><table><thead>/g)?.length);
  });

  it('ask no upstream for a name that nobody may have, and do without what cannot be had', async () => {
    const { get } = await serve(`policy: { rules: [{ id: ours, match: { purl: ["pkg:npm/demo"] }, action: deny }] }`);
    const { json } = await get(`${API}/explain?purl=pkg:npm/demo`);
    expect(json.explanations).toMatchObject([{ decision: { action: 'deny' }, hidden: [], facts: {} }]);
    expect((await get('/metrics')).text).not.toContain('entrepot_upstream_requests_total{');
    const { json: other } = await get(`${API}/explain?purl=pkg:npm/..%2Fother`);
    expect(other.explanations).toMatchObject([{ hidden: [] }]);
  });
});

describe('a version that somebody spells in another way', () => {
  const SPELT = 'pkg:npm/demo@v2.0.0+build.1';

  it('is the one that is kept, in explanations and in what is said of its impact', async () => {
    const { get } = await serve('policy: { rules: [] }');
    expect((await get(TARBALL)).status).toBe(200);
    await until(async () => {
      const { json } = await get(`${API}/impact?purl=${PURL}`);
      return json.kept.length === 1 && json.downloads.length === 1;
    });
    const { json } = await get(`${API}/explain?purl=${encodeURIComponent(SPELT)}`);
    expect(json.explanations).toMatchObject([{ purl: PURL, exists: true, kept: { size: expect.any(Number) } }]);
    const { json: impact } = await get(`${API}/impact?purl=${encodeURIComponent(SPELT)}`);
    expect(impact).toMatchObject({ kept: [{ purl: PURL }], downloads: [{ purl: PURL }] });
  });

  it('is the one that is held, denied and forgotten', async () => {
    const server = await serve(`policy: { rules: [${HOLD}] }`);
    await release(server);
    const { json } = await server.get(`${API}/explain?purl=${encodeURIComponent(SPELT)}`);
    expect(json.explanations).toMatchObject([{ purl: PURL, quarantine: { state: 'held' } }]);
    const verdict = { repository: 'npm', purl: SPELT, reason: 'it is broken', by: 'ann' };
    expect((await server.send('POST', `${API}/quarantine/deny`, verdict)).status).toBeLessThan(300);
    expect((await server.get(`${API}/quarantine`)).json.quarantine).toMatchObject([{ purl: PURL, state: 'denied' }]);
  });

  it('is denied whichever way the registry spells it', async () => {
    const server = await serve('policy: { rules: [] }');
    const verdict = { repository: 'npm', purl: SPELT, reason: 'it is broken', by: 'ann' };
    expect((await server.send('POST', `${API}/quarantine/deny`, verdict)).status).toBeLessThan(300);
    await until(async () => (await server.get(TARBALL)).status === 403);
  });
});

describe('an explanation of a version that does not exist', () => {
  it('says so, instead of what would be said of a new one', async () => {
    const { get } = await serve('policy: { preset: balanced }');
    const { json } = await get(`${API}/explain?purl=pkg:npm/demo@9.9.9`);
    expect(json.explanations).toMatchObject([{ exists: false, decision: { action: 'allow', rules: [] } }]);
    const page = await get('/-/explain/pkg:npm/demo@9.9.9', { accept: 'text/html' });
    expect(page.text).toContain('npm: does not exist');
    expect(page.text).not.toContain('class="hold"');
    const { json: there } = await get(`${API}/explain?purl=pkg:npm/demo@2.0.0`);
    expect(there.explanations).toMatchObject([{ exists: true, decision: { action: 'hold' } }]);
  });

  it('says nothing of it where its document cannot be had', async () => {
    const { get } = await serve('policy: { preset: balanced }');
    // The upstream answers with the document of another name.
    const { json } = await get(`${API}/explain?purl=pkg:npm/other@1.0.0`);
    expect(json.explanations).toHaveLength(1);
    expect(json.explanations[0]).not.toHaveProperty('exists');
  });
});

describe('exceptions', () => {
  it('can be switched off and on again', async () => {
    const { get, send } = await serve(`policy: { rules: [${DENY}] }`);
    await send('POST', `${API}/exceptions`, exception());
    expect((await get(TARBALL)).status).toBe(200);
    const switched = await send('PATCH', `${API}/exceptions/e1`, { active: false });
    expect([switched.status, switched.json.active]).toEqual([200, false]);
    expect((await get(TARBALL)).status).toBe(403);
    expect((await get(`${API}/exceptions`)).json.exceptions).toMatchObject([{ id: 'e1', active: false }]);
    expect((await send('PATCH', `${API}/exceptions/e1`, { active: true })).status).toBe(200);
    expect((await get(TARBALL)).status).toBe(200);
    for (const form of [
      {},
      { by: 'ann' },
      { active: 'no' },
      { active: false, expires: '900d', by: 'ann' },
      { expires: '1d' },
      null,
    ])
      expect((await send('PATCH', `${API}/exceptions/e1`, form)).status).toBe(400);
    expect((await send('PATCH', `${API}/exceptions/e2`, { active: true })).status).toBe(404);
  });

  it('are read one by one, changed with a record of who did it, and listed by what they are', async () => {
    const { get, send } = await serve(`policy: { rules: [${DENY}] }`);
    await send('POST', `${API}/exceptions`, exception());
    await send('POST', `${API}/exceptions`, {
      ...exception(),
      id: 'e2',
      advisories: ['CVE-2026-1'],
      kind: 'false-positive',
    });
    const { json: made } = await get(`${API}/exceptions/e1`);
    expect(made).toMatchObject({ id: 'e1', reason: 'we need it', approvedBy: ['ann'] });
    expect((await get(`${API}/exceptions/e3`)).status).toBe(404);

    const shorter = await send('PATCH', `${API}/exceptions/e1`, {
      expires: '2d',
      reason: 'until the release',
      by: 'bob',
    });
    expect(shorter.json).toMatchObject({
      reason: 'until the release',
      approvedBy: ['ann'],
      changes: [{ by: 'bob', expiresAt: made.expiresAt, reason: 'we need it' }],
    });
    const longer = await send('PATCH', `${API}/exceptions/e1`, { expires: '60d', ticket: 'T-1', by: 'bob' });
    expect(longer.json).toMatchObject({
      approvedBy: ['bob'],
      ticket: 'T-1',
      changes: [{}, { approvedBy: ['ann'], ticket: '' }],
    });
    expect((await get(`${API}/exceptions/e1`)).json).toEqual(longer.json);
    expect((await send('PATCH', `${API}/exceptions/e1`, { expires: '2020-01-01', by: 'bob' })).status).toBe(400);

    await send('PATCH', `${API}/exceptions/e2`, { active: false });
    const listed = async (query: string) =>
      (await get(`${API}/exceptions?${query}`)).json.exceptions?.map(({ id }: { id: string }) => id) as unknown;
    expect(await listed('')).toEqual(['e1', 'e2']);
    expect(await listed('active=true')).toEqual(['e1']);
    expect(await listed('active=false')).toEqual(['e2']);
    expect(await listed('kind=false-positive')).toEqual(['e2']);
    expect(await listed('advisory=cve-2026-1')).toEqual(['e2']);
    expect(await listed('endsWithin=61d')).toEqual(['e1']);
    expect(await listed('endsWithin=59d')).toEqual([]);
    for (const wrong of ['active=yes', 'kind=x', 'endsWithin=soon'])
      expect((await get(`${API}/exceptions?${wrong}`)).status).toBe(400);
  });

  it('that hold for longer than two people approved need two of them again', async () => {
    const { get, send } = await serve(
      `policy: { rules: [${DENY.replace('action:', 'exceptions: two-approvers, action:')}] }`,
    );
    await send('POST', `${API}/exceptions`, exception());
    await send('POST', `${API}/exceptions/e1/approve`, { by: 'bob' });
    expect((await get(TARBALL)).status).toBe(200);
    await send('PATCH', `${API}/exceptions/e1`, { expires: '20d', by: 'eve' });
    expect((await get(TARBALL)).status).toBe(200);
    await send('PATCH', `${API}/exceptions/e1`, { expires: '80d', by: 'eve' });
    expect((await get(TARBALL)).status).toBe(403);
    await send('POST', `${API}/exceptions/e1/approve`, { by: 'ann' });
    expect((await get(TARBALL)).status).toBe(200);
  });

  it('are announced to webhooks before they end, each end once', async () => {
    const events: { event: string; exception: string; expires: string }[] = [];
    const hook = createServer(async (request, response) => {
      let body = '';
      for await (const part of request) body += String(part);
      events.push(JSON.parse(body) as (typeof events)[number]);
      response.end();
    });
    const url = `${await listenOnLoopback(hook)}/hook`;
    const { send } = await serve(
      `policy: { exceptionNotice: 7d, rules: [${DENY}], webhooks: [{ url: "${url}", allowPrivate: true, events: [exception-ending] }] }`,
    );
    await send('POST', `${API}/exceptions`, exception({ id: 'later', expires: '8d' }));
    await send('POST', `${API}/exceptions`, exception({ id: 'off', expires: '8d' }));
    await send('PATCH', `${API}/exceptions/off`, { active: false });
    await send('PATCH', `${API}/exceptions/off`, { expires: '2d', by: 'ann' });
    const { json: soon } = await send('POST', `${API}/exceptions`, exception({ id: 'soon', expires: '6d' }));
    await until(() => events.length === 1);
    expect(events[0]).toMatchObject({
      event: 'exception-ending',
      exception: 'soon',
      purl: [PURL],
      expires: new Date(soon.expiresAt as number).toISOString(),
    });
    // Each change has all of them looked at again.
    await send('PATCH', `${API}/exceptions/soon`, { reason: 'still', by: 'ann' });
    await send('PATCH', `${API}/exceptions/soon`, { expires: '5d', by: 'ann' });
    await until(() => events.length === 2);
    await send('PATCH', `${API}/exceptions/soon`, { active: true });
    expect(events.map(({ exception: id }) => id)).toEqual(['soon', 'soon']);
  });

  it('let in at once what a rule refuses, are seen to be used, and end when they are removed', async () => {
    const { get, send } = await serve(`policy: { rules: [${DENY}] }`);
    expect((await get(TARBALL)).status).toBe(403);
    expect((await send('POST', `${API}/exceptions`, exception())).status).toBe(201);
    expect((await get(TARBALL)).status).toBe(200);
    const { json } = await get(`${API}/explain?purl=${encodeURIComponent(PURL)}`);
    expect(json.explanations).toMatchObject([
      {
        repository: 'npm',
        decision: { action: 'allow' },
        rules: [{ id: 'not-two', state: 'excepted', exceptions: ['e1'] }],
      },
    ]);
    await until(async () => (await get(`${API}/exceptions`)).json.exceptions[0].lastUsedAt !== undefined);
    expect((await send('DELETE', `${API}/exceptions/e1`)).status).toBe(200);
    expect((await get(TARBALL)).status).toBe(403);
    expect((await send('DELETE', `${API}/exceptions/e1`)).status).toBe(404);
  });

  it.each([
    [{ reason: undefined }, 'reason'],
    [{ expires: undefined }, 'expires'],
    [{ expires: '91d' }, 'expires: expected at most 90d from now'],
    [{ expires: '2020-01-01' }, 'expires: expected a time in the future, found one in the past'],
    [{ purl: undefined }, 'expected purl, advisories or both'],
    [{ purl: ['demo'] }, 'purl.0: expected package URLs'],
    [{ colour: 'red' }, 'colour'],
  ])('are refused with %j', async (more, message) => {
    const { send } = await serve(`policy: { rules: [${DENY}] }`);
    const answer = await send('POST', `${API}/exceptions`, exception(more));
    expect(answer).toMatchObject({ status: 400, text: expect.stringContaining(message) });
  });

  it('need a second person where the rule asks for two', async () => {
    const { get, send } = await serve(
      `policy: { rules: [${DENY.replace('action:', 'exceptions: two-approvers, action:')}] }`,
    );
    await send('POST', `${API}/exceptions`, exception());
    expect((await get(TARBALL)).status).toBe(403);
    await send('POST', `${API}/exceptions/e1/approve`, { by: 'ann' });
    expect((await get(TARBALL)).status).toBe(403);
    await send('POST', `${API}/exceptions/e1/approve`, { by: 'bob' });
    expect((await get(TARBALL)).status).toBe(200);
  });

  it('come from a VEX document, and go into one', async () => {
    const { get, send } = await serve(`policy: { rules: [${DENY}] }`);
    const vex = {
      author: 'upstream',
      statements: [
        {
          vulnerability: { name: 'CVE-1' },
          products: [{ '@id': PURL }],
          status: 'not_affected',
          justification: 'component_not_present',
        },
        { vulnerability: { name: 'CVE-2' }, products: [{ '@id': PURL }], status: 'affected' },
      ],
    };
    const made = await send('POST', `${API}/vex`, vex);
    expect(made.json.exceptions).toMatchObject([
      { advisories: ['CVE-1'], kind: 'false-positive', requestedBy: ['upstream'] },
    ]);
    expect((await get(`${API}/vex`)).json.statements).toMatchObject([
      { vulnerability: { name: 'CVE-1' }, products: [{ '@id': PURL }], status: 'not_affected' },
    ]);
  });
});

describe('the quarantine', () => {
  it('lists what is held, and lets it go when somebody says so', async () => {
    const server = await serve(`policy: { rules: [${HOLD}] }`);
    await release(server);
    expect((await server.get(`${API}/quarantine?state=held`)).json.quarantine).toMatchObject([
      { repository: 'npm', purl: PURL, state: 'held', rules: ['wait'] },
    ]);
    const form = { repository: 'npm', purl: PURL, by: 'ann', reason: 'looked at it' };
    const { json } = await server.send('POST', `${API}/quarantine/release`, form);
    expect(json.exception).toMatchObject({ scope: { repositories: ['npm'], purl: [PURL] }, rules: ['wait'] });
    expect((await server.get(TARBALL)).status).toBe(200);
    expect((await server.get(`${API}/quarantine`)).json.quarantine).toMatchObject([
      { state: 'released', decidedBy: 'ann' },
    ]);
  });

  it('denies what somebody denies, whatever the rules say, in documents too', async () => {
    const { get, send } = await serve('');
    expect((await get(TARBALL)).status).toBe(200);
    const form = { repository: 'npm', purl: PURL, by: 'ann', reason: 'it phones home' };
    expect((await send('POST', `${API}/quarantine/deny`, form)).status).toBe(200);
    expect((await get(TARBALL)).json.error).toContain('denied by an administrator (rule quarantine)');
    // Clients are not told who that was and what they think of it; administrators are.
    const told = [
      await get(TARBALL),
      await get(`/-/explain/${PURL}`),
      await get(`/-/explain/${PURL}`, { accept: 'text/html' }),
    ];
    expect(told.map(({ text }) => text).join()).not.toMatch(/\bann\b|phones home/);
    expect((await get(`${API}/quarantine`)).json.quarantine).toMatchObject([
      { decidedBy: 'ann', note: 'it phones home' },
    ]);
    expect(Object.keys((await get('/npm/demo')).json.versions)).toEqual(['1.0.0']);
    await send('POST', `${API}/quarantine/forget`, { repository: 'npm', purl: PURL });
    expect((await get(TARBALL)).status).toBe(200);
  });
});

describe('what happened', () => {
  it('is found again: who was served what, and what was refused', async () => {
    const { get } = await serve(`policy: { rules: [${DENY}] }`);
    await get('/npm/demo/-/demo-1.0.0.tgz');
    await get('/npm/demo/-/demo-1.0.0.tgz');
    await get(TARBALL);
    const impact = (await get(`${API}/impact?purl=pkg:npm/demo`)).json;
    expect(impact.kept).toMatchObject([{ repository: 'npm', purl: 'pkg:npm/demo@1.0.0' }]);
    expect(impact.downloads).toMatchObject([
      { purl: 'pkg:npm/demo@1.0.0', address: expect.stringContaining('127.0.0.1'), times: 2 },
    ]);
    const csv = await get(`${API}/impact?purl=pkg:npm/demo&format=csv`);
    expect(csv.headers.get('content-type')).toContain('text/csv');
    expect(csv.text.split('\r\n')).toHaveLength(3);
    expect((await get(`${API}/decisions`)).json.decisions).toMatchObject([
      { action: 'deny', coordinates: { version: '2.0.0' }, rules: [{ id: 'not-two' }] },
    ]);
    expect((await get(`${API}/sbom`)).json).toMatchObject({
      bomFormat: 'CycloneDX',
      components: [{ purl: 'pkg:npm/demo@1.0.0' }],
    });
    expect((await get(`${API}/sbom?format=spdx`)).json).toMatchObject({
      spdxVersion: 'SPDX-2.3',
      packages: [
        {
          versionInfo: '1.0.0',
          externalRefs: [{ referenceType: 'purl', referenceLocator: 'pkg:npm/demo@1.0.0' }],
          checksums: [{ algorithm: 'SHA256', checksumValue: expect.stringMatching(/^[0-9a-f]{64}$/) }],
        },
      ],
      relationships: [{ relationshipType: 'DESCRIBES', relatedSpdxElement: 'SPDXRef-Package-0' }],
    });
    expect((await get(`${API}/sbom?format=csv`)).status).toBe(400);
  });

  it('is judged by a candidate policy, which is what it would do', async () => {
    const { get, send } = await serve('');
    await get(TARBALL);
    await get('/npm/demo/-/demo-1.0.0.tgz');
    await until(async () => (await get(`${API}/impact?purl=pkg:npm/demo`)).json.downloads.length === 2);
    const { json } = await send('POST', `${API}/policy/simulate?days=1`, `version: 1\nrules:\n  - ${DENY}\n`, YAML);
    expect(json).toMatchObject({
      judged: 2,
      refused: [{ purl: PURL, action: 'deny', rules: [{ id: 'not-two' }], times: 1 }],
    });
    expect((await get(TARBALL)).status).toBe(200);
    const wrong = await send('POST', `${API}/policy/simulate`, 'version: 1\nrules: [{ id: a, acton: deny }]', YAML);
    expect(wrong).toMatchObject({ status: 400, text: expect.stringContaining('rules[0].acton') });
  });

  it('is told to webhooks, signed, and again when they fail', async () => {
    const got: { body: string; signature: string | undefined }[] = [];
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        got.push({
          body: Buffer.concat(chunks).toString(),
          signature: request.headers['entrepot-signature'] as string,
        });
        response.statusCode = got.length === 1 ? 500 : 204;
        response.end();
      });
    });
    const url = `${await listenOnLoopback(server)}/hook`;
    const hook = `{ url: "${url}", secret: "\${env:HOOK}", allowPrivate: true, events: [denied] }`;
    const { get } = await serve(
      `policy: { rules: [${DENY}], webhooks: [${hook}] }`,
      {},
      { HOOK: 'a secret of some length' },
    );
    await get(TARBALL);
    await get(TARBALL);
    await until(() => got.length === 2);
    const [first, second] = got;
    expect(second).toEqual(first);
    expect(JSON.parse(first?.body ?? '')).toMatchObject({
      event: 'denied',
      repository: 'npm',
      purl: PURL,
      rules: [{ id: 'not-two' }],
    });
    const signature = createHmac('sha256', 'a secret of some length')
      .update(first?.body ?? '')
      .digest('hex');
    expect(first?.signature).toBe(`sha256=${signature}`);
  });
});

describe('the explanation', () => {
  it('is a page for people and JSON for programs, and holds no markup of others', async () => {
    const rule = DENY.replace('it is broken', '"<script>alert(1)</script>"');
    const { get } = await serve(`policy: { rules: [${rule}] }`);
    const refused = await get(TARBALL);
    const url = /See (\S+)/.exec(refused.json.error)?.[1] as string;
    const page = await get(new URL(url).pathname, { accept: 'text/html' });
    expect(page.status).toBe(200);
    expect(page.text).toContain('&lt;script&gt;alert(1)');
    expect(page.text).not.toContain('<script');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    const json = (await get(`/-/explain/${PURL}`, { accept: 'application/json' })).json;
    expect(json.explanations).toMatchObject([
      { repository: 'npm', decision: { action: 'deny' }, lastDecisions: [{ action: 'deny' }] },
    ]);
    expect((await get('/-/explain/demo')).status).toBe(400);
    expect((await get('/-/explain/pkg:npm/@acme/tool@1.0.0', { accept: 'text/html' })).text).toContain(
      'pkg:npm/%40acme/tool@1.0.0',
    );
  });
});

describe('administration', () => {
  it.each([
    ['through a proxy', { 'x-forwarded-for': '192.0.2.1' }],
    ['for a page of another site', { origin: 'https://example.com' }],
  ])('does not answer without a token %s', async (_what, headers) => {
    const { get } = await serve('');
    expect((await get(`${API}/policy`)).status).toBe(200);
    expect((await get(`${API}/policy`, headers)).status).toBe(401);
  });

  it('counts the findings of a version, and says which an exception is for', async () => {
    const { get } = await serve('');
    expect((await get(`${API}/packages/npm/@acme/tool/1.0.0/vulnerabilities`)).json).toMatchObject({
      purl: 'pkg:npm/%40acme/tool@1.0.0',
      severity_counts: { critical: 0, high: 0 },
      total: 0,
      scanned: false,
    });
  });
});
