import assert from 'node:assert/strict';
import type { Access, AccessNeed } from '../api/access.js';
import { packageUrl, type PackageCoordinates } from '../api/coordinates.js';
import { denyingVersion, FixedPolicy } from './fixed-policy.js';
import { assertFacts } from './hostile-requests.js';
import { assertBodiless, withHeaders } from './replies.js';
import { defineCleanup } from './hosted-cleanup-checks.js';
import {
  assertListed,
  assertThere,
  type HostedFixture,
  type HostedProtocolSubject,
  type HostedUpload,
  isSuccess,
  keysOf,
  labelOf,
  openFixture,
  prepare,
  publish,
} from './hosted-uploads.js';
import { asRequest, printRequest, routeRequest } from './route-table.js';
import { type Checks, defineChecks, type SuiteRunner } from './suite.js';
import type { TestReply, TestRepository, TestRequest } from './test-repository.js';

/** Features of hosted repositories of the ecosystem. Each is on by default. */
export interface HostedProtocolCapabilities {
  /** With these options, a published name is never overwritten. */
  readonly conflicts?: boolean;
  /** Publications can be removed. */
  readonly deletes?: boolean;
  /** Documents list publications. */
  readonly lists?: boolean;
  /** Listed publications have coordinates, so that policy can refuse them. */
  readonly policy?: boolean;
}

const RACERS = 8;

/** Runs a plugin as a hosted repository in the real pipeline and checks what every such protocol promises. */
export function hostedProtocolSuite(
  runner: SuiteRunner,
  subject: HostedProtocolSubject,
  { conflicts = true, deletes = true, lists = true, policy = true }: HostedProtocolCapabilities = {},
): void {
  defineChecks(
    runner,
    `hosted protocol ${subject.plugin.id}`,
    () => openFixture(subject),
    (fixture) => fixture.close(),
    (checks) => {
      defineTaking(checks);
      defineFacts(checks);
      defineConflicts(checks, conflicts);
      defineDeletes(checks, deletes);
      defineLists(checks, lists, deletes);
      defineDenial(checks, lists, policy);
      defineAccess(checks);
      defineCleanup(checks, subject);
    },
  );
}

function defineTaking({ check }: Checks<HostedFixture>): void {
  check('gives back what it took, byte for byte', async ({ subject, open }) => {
    const repository = await open();
    for (const upload of subject.uploads) {
      const missing = await repository.ask(upload.get);
      assert.equal(missing.status, 404, `${labelOf(upload.get)}, before it was published`);
      await publish(repository, upload);
      await assertThere(repository, upload);
    }
    for (const upload of subject.uploads) await assertThere(repository, upload);
  });

  check('answers HEAD and If-None-Match without a body', async ({ subject, open }) => {
    const repository = await open();
    for (const upload of subject.uploads) {
      await publish(repository, upload);
      await assertBodiless(repository, asRequest(upload.get));
    }
  });

  check('makes no change of GET and HEAD', async ({ subject, open }) => {
    const repository = await open();
    for (const upload of subject.uploads) {
      await publish(repository, upload);
      const before = await keysOf(repository);
      for (const change of [upload.put, upload.again, upload.remove]) {
        if (change === undefined) continue;
        for (const method of ['GET', 'HEAD']) {
          const request = { ...asRequest(change), method };
          const routed = routeRequest(repository.protocol, request, subject.plugin.http);
          const isChange =
            typeof routed === 'object' &&
            (routed.kind === 'upload' || (routed.kind === 'session' && routed.action !== 'status'));
          assert.ok(!isChange, `route(${printRequest(request)}) must be no change (RFC 9110 §9.2.1)`);
          await repository.ask(request);
        }
      }
      assert.deepEqual(await keysOf(repository), before, `what is kept after GET and HEAD of ${labelOf(upload.put)}`);
    }
  });

  check('stores nothing of an upload that breaks off', async ({ subject, open }) => {
    const repository = await open();
    for (const upload of subject.uploads) {
      await prepare(repository, upload);
      const length = Buffer.from(upload.put.body ?? '').length;
      const before = await keysOf(repository);
      for (const breaksAfter of new Set([0, Math.floor(length / 2), length])) {
        const broken = await repository.ask({ ...upload.put, breaksAfter });
        const label = `${printRequest(upload.put)}, broken off after ${breaksAfter} bytes`;
        assert.ok(broken.status >= 400, `${label}: expected a refusal, found ${broken.status}`);
        assert.deepEqual(await keysOf(repository), before, label);
      }
      await publish(repository, upload);
    }
  });

  check('has what it took after a restart, and on another replica', async ({ subject, open }) => {
    const repository = await open();
    const replica = await open({ stores: repository });
    for (const upload of subject.uploads) await publish(repository, upload);
    for (const upload of subject.uploads) await assertThere(replica, upload);
    await repository.close();
    const restarted = await open({ stores: repository });
    for (const upload of subject.uploads) await assertThere(restarted, upload);
  });
}

function defineFacts({ check }: Checks<HostedFixture>): void {
  check('computes all facts of anything that it routes, the same each time', async ({ subject, open }) => {
    const { protocol } = await open();
    const requests = subject.uploads.flatMap(({ before = [], put, get, again, remove, listed }) => [
      ...before,
      ...[put, get, again, remove, listed?.in].filter((request) => request !== undefined),
    ]);
    assertFacts(protocol, { plugin: subject.plugin, cases: requests.map((request) => ({ request })) });
  });
}

function defineConflicts({ checkIf }: Checks<HostedFixture>, conflicts: boolean): void {
  const reason = 'conflicts is off';

  checkIf(conflicts, reason, 'refuses what would replace something', async ({ having, open }) => {
    for (const upload of having('again', 'againBytes')) {
      const repository = await open();
      await publish(repository, upload);
      for (const request of [upload.again, upload.put]) {
        const refused = await repository.ask(request);
        const label = `${printRequest(request)}, again`;
        // The same bytes once more may be called a success: nothing changes.
        if (request === upload.again || refused.status >= 300)
          assert.ok(refused.status >= 400 && refused.status < 500, `${label}: expected 4xx, found ${refused.status}`);
        await assertThere(repository, upload);
      }
    }
  });

  checkIf(conflicts, reason, 'lets one of many uploads of one name win', async ({ having, open }) => {
    for (const upload of having('again', 'againBytes')) {
      const repository = await open();
      await prepare(repository, upload);
      const racers = Array.from({ length: RACERS }, (_, racer) => (racer % 2 === 0 ? upload.put : upload.again));
      const replies = await Promise.all(racers.map((request) => repository.ask(request)));
      const winners = racers.filter((_, racer) => isSuccess(replies[racer]));
      const label = printRequest(upload.put);
      const kinds = new Set(winners);
      assert.equal(kinds.size, 1, `${label}: expected the uploads of one side to win, found ${kinds.size} sides`);
      // Where the same bytes once more are no success, nobody else may be told that they have won.
      if (!isSuccess(await repository.ask(winners[0] as TestRequest)))
        assert.equal(winners.length, 1, `${label}: expected one of ${RACERS} uploads to win, found ${winners.length}`);
      const bytes = winners[0] === upload.put ? upload.bytes : upload.againBytes;
      await assertThere(repository, { ...upload, bytes });
    }
  });
}

function defineDeletes({ checkIf }: Checks<HostedFixture>, deletes: boolean): void {
  checkIf(deletes, 'deletes is off', 'has no more what was removed, from that moment on', async ({ having, open }) => {
    for (const upload of having('remove')) {
      const repository = await open();
      await publish(repository, upload);
      await assertThere(repository, upload);
      const label = printRequest(upload.remove);
      const removed = await repository.ask(upload.remove);
      assert.ok(isSuccess(removed), `${label}: expected 2xx, found ${removed.status}`);
      for (const method of ['GET', 'HEAD']) {
        const { status } = await repository.ask({ ...asRequest(upload.get), method });
        assert.equal(status, 404, `${method} after ${label}`);
      }
      assert.equal((await repository.ask(upload.remove)).status, 404, `${label}, again`);
      await publish(repository, upload);
      await assertThere(repository, upload);
    }
  });
}

function defineLists({ checkIf }: Checks<HostedFixture>, lists: boolean, deletes: boolean): void {
  checkIf(lists, 'lists is off', 'lists what is there, and nothing else', async ({ having, open }) => {
    const uploads = having('listed');
    const repository = await open();
    for (const upload of uploads) {
      await assertListed(repository, upload, false, 'before it was published');
      await publish(repository, upload);
      await assertListed(repository, upload, true, 'after it was published');
    }
    const there = new Set(uploads);
    for (const upload of deletes ? uploads : []) {
      if (upload.remove === undefined) continue;
      await repository.ask(upload.remove);
      there.delete(upload);
      await assertListed(repository, upload, false, 'after it was removed');
      for (const other of there) await assertListed(repository, other, true, 'after something else was removed');
    }
  });

  checkIf(lists, 'lists is off', 'lists on every replica what any of them took', async ({ having, open }) => {
    for (const upload of having('listed')) {
      const repository = await open();
      const replica = await open({ stores: repository });
      await assertListed(replica, upload, false, 'on another replica, before it was published');
      await publish(repository, upload);
      // A replica may be a second behind.
      replica.clock.advance(1_000);
      await assertListed(replica, upload, true, 'on another replica');
    }
  });

  checkIf(lists, 'lists is off', 'loses nothing when many publish at once', async ({ having, open }) => {
    const uploads = having('listed');
    const repository = await open();
    for (const upload of uploads) await prepare(repository, upload);
    const replies = await Promise.all(uploads.map(({ put }) => repository.ask(put)));
    for (const [index, upload] of uploads.entries()) {
      const label = printRequest(upload.put);
      assert.ok(isSuccess(replies[index]), `${label}: expected 2xx, found ${replies[index]?.status}`);
      await assertListed(repository, upload, true, 'after many were published at once');
    }
  });
}

function defineDenial({ checkIf }: Checks<HostedFixture>, lists: boolean, policy: boolean): void {
  checkIf(lists && policy, 'lists or policy is off', 'lists nothing that is denied, and all else', async (fixture) => {
    const uploads = fixture.having('listed');
    const denials = new FixedPolicy();
    const repository = await fixture.open({ policy: denials });
    for (const upload of uploads) await publish(repository, upload);
    let denied = 0;
    for (const upload of uploads) {
      const coordinates = await coordinatesOf(repository, upload, fixture.subject.plugin);
      if (coordinates === undefined) continue;
      denied += 1;
      const url = packageUrl(coordinates);
      denials.setRules([denyingVersion(coordinates)]);
      await assertListed(repository, upload, false, `when policy denies ${url}`);
      for (const other of uploads) {
        const theirs = await coordinatesOf(repository, other, fixture.subject.plugin);
        if (theirs === undefined || packageUrl(theirs) === url) continue;
        await assertListed(repository, other, true, `when policy denies ${url}`);
      }
      const { status } = await repository.ask(upload.get);
      assert.ok(status >= 400 && status < 500, `${labelOf(upload.get)}, denied: expected 4xx, found ${status}`);
    }
    assert.ok(denied > 0, 'uploads: expected one that is listed and has coordinates, found none');
  });
}

/** Finds the coordinates under which policy judges what was published. */
async function coordinatesOf(
  { entries, protocol }: TestRepository,
  { get }: HostedUpload,
  plugin: HostedProtocolSubject['plugin'],
): Promise<PackageCoordinates | undefined> {
  const resource = routeRequest(protocol, asRequest(get), plugin.http);
  if (typeof resource === 'string' || !('key' in resource) || resource.kind === 'upload') return undefined;
  return (await entries.find('test', resource.key))?.coordinates ?? resource.coordinates;
}

function defineAccess({ check }: Checks<HostedFixture>): void {
  check('changes nothing for those who may not', async ({ subject, open }) => {
    const repository = await open({ definition: { access: guarded(['read']) } });
    const owner = await open({ stores: repository });
    for (const upload of subject.uploads) {
      await prepare(owner, upload);
      const requests = [upload.put, ...(upload.again === undefined ? [] : [upload.again])];
      await assertDenied(repository, requests, 401, {});
      await assertDenied(repository, requests, 403, { authorization: READER });
      await assertTold(repository, upload.get, 404, {});
      await publish(owner, upload);
      if (upload.remove !== undefined) await assertDenied(repository, [upload.remove], 401, {});
      await assertThere(owner, upload);
      if (upload.remove === undefined) continue;
      const removed = await repository.ask(withHeaders(upload.remove, { authorization: WRITER }));
      assert.ok(isSuccess(removed), `${printRequest(upload.remove)} of a writer: found ${removed.status}`);
    }
  });

  check('shows nothing to those who may not see it', async ({ subject, open }) => {
    const repository = await open({ definition: { access: guarded([]) } });
    const owner = await open({ stores: repository });
    for (const upload of subject.uploads) {
      await publish(owner, upload);
      const reads = [upload.get, ...(upload.listed === undefined ? [] : [upload.listed.in])].map(asRequest);
      for (const method of ['GET', 'HEAD']) {
        const requests = reads.map((request) => ({ ...request, method }));
        await assertDenied(repository, requests, 401, {});
        for (const request of requests) await assertTold(repository, request, 200, { authorization: READER });
      }
    }
  });
}

/** Credentials in a form that plugins leave alone: one without a scheme is what some of them read as a key. */
const READER = 'Bearer reader';
const WRITER = 'Bearer writer';

/** Access for whoever is the reader or the writer, and for everybody as far as `open` says. */
function guarded(open: readonly AccessNeed['right'][]): Access {
  return {
    knowsCallers: true,
    isOpen: ({ right }) => open.includes(right),
    authenticate: async (name) => ({
      name,
      may: ({ right }) => open.includes(right) || name === WRITER || (name === READER && right === 'read'),
    }),
    challenge: () => 'Basic realm="kit"',
  };
}

async function assertDenied(
  repository: TestRepository,
  requests: readonly TestRequest[],
  status: number,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const before = await keysOf(repository);
  for (const request of requests) {
    const reply = await assertTold(repository, request, status, headers);
    const challenge = reply.headers['www-authenticate'];
    assert.equal(challenge !== undefined, status === 401, `WWW-Authenticate of ${printRequest(request)} (${status})`);
  }
  assert.deepEqual(await keysOf(repository), before, 'what is kept after a refusal');
}

async function assertTold(
  repository: TestRepository,
  request: TestRequest | string,
  status: number,
  headers: Readonly<Record<string, string>>,
): Promise<TestReply> {
  const reply = await repository.ask(withHeaders(asRequest(request), headers));
  const who = headers['authorization'] ?? 'nobody';
  assert.equal(reply.status, status, `${labelOf(request)} of ${who}: ${reply.body.toString('utf8', 0, 200)}`);
  return reply;
}
