import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  ALLOWED,
  artifactClass,
  documentClass,
  type Digest,
  type Entry,
  type FirstFetch,
  type PackageCoordinates,
  type PolicyAction,
  type PolicyDecision,
  type PolicyInput,
  type ScanDesk,
  silentLogger,
} from '../../src/index.js';
import { Protocol, type AnySide } from '../../src/engine/request/protocol.js';
import type { ArtifactResource, DocumentResource } from '../../src/engine/request/resource.js';
import type { EngineRequest, EngineServices, RepositoryDefinition, RequestContext } from '../../src/engine/index.js';
import { ContentFindings } from '../../src/engine/policy/content-findings.js';
import { createJudge, type Judge } from '../../src/engine/policy/judge.js';
import type { Subject } from '../../src/engine/policy/subject.js';
import type { SettledVerdict, Verdict } from '../../src/engine/policy/verdict.js';
import { ManualClock } from '../../src/testing/index.js';

const ENGINE = new URL('../../src/engine/', import.meta.url).pathname;
const DIGEST: Digest = `sha256:${'0'.repeat(64)}`;
const coordinates: PackageCoordinates = { ecosystem: 'test', name: 'tool', version: '1.0.0' };
const classes = {
  file: artifactClass({ about: 'a file' }),
  exempt: artifactClass({ about: 'a file', policy: { refusedOnlyIfMalicious: true } }),
  sidecar: artifactClass({ about: 'tells of a file', policy: { sidecar: true } }),
  tag: documentClass({
    about: 'a name for bytes',
    reply: { digestHeader: 'digest' },
    trust: { addressed: { pinned: () => ({ key: '{digest}', path: '{digest}' }) } },
  }),
};
const protocol = new Protocol({ id: 'test' }, { classes } as unknown as AnySide, { route: () => undefined });
const artifactOf = (
  name: keyof typeof classes,
  named: PackageCoordinates | undefined = coordinates,
): ArtifactResource =>
  protocol.artifact({ class: name, key: 'packages/tool-1.0.0', path: 'packages/tool-1.0.0', coordinates: named });
const artifact = artifactOf('file');
const exempt = artifactOf('exempt');
const tag = protocol.document({ class: 'tag', key: 'names/tool', path: 'names/tool', coordinates });

function entryOf(key: string): Entry {
  const headers = {};
  const mediaType = 'application/octet-stream';
  const dates = { fetchedAt: 0, checkedAt: 0 };
  return { repository: 'test', key, digest: DIGEST, size: 1, mediaType, headers, integrity: [], coordinates, ...dates };
}

/** A subject of each kind, for a resource. The compiler asks for one of a kind that is new. */
const SUBJECTS: { readonly [Kind in Subject['kind']]: (resource: ArtifactResource | DocumentResource) => Subject } = {
  name: () => ({ kind: 'name', coordinates }),
  version: (resource) => ({ kind: 'version', resource, coordinates }),
  cached: (resource) => ({
    kind: 'cached',
    resource,
    entry: entryOf(resource.key),
    document: undefined,
    describe: async () => undefined,
  }),
  fetched: (resource) => ({ kind: 'fetched', resource, coordinates }),
  part: () => ({ kind: 'part', namedBy: entryOf('names/tool') }),
  sidecar: (resource) => ({ kind: 'sidecar', resource, coordinates }),
};
const KINDS = Object.keys(SUBJECTS) as Subject['kind'][];
const ACTIONS: readonly PolicyAction[] = ['deny', 'hold', 'hide', 'warn', 'allow'];

interface Opened {
  readonly judge: Judge;
  readonly inputs: PolicyInput[];
  settled(subject: Subject, context?: RequestContext): Promise<SettledVerdict>;
}

/** A judge whose policy gives `decision` for everything, and whose scanners have a finding in the version. */
function open(decision: PolicyDecision, firstFetch?: FirstFetch): Opened {
  const inputs: PolicyInput[] = [];
  const desk: ScanDesk = {
    peek: () => undefined,
    request: async () => ({ reports: [], failures: [] }),
    contents: async () => {
      const answer = { reports: [], failures: [] };
      return [{ key: artifact.key, coordinates, digest: DIGEST, size: 1, storedAt: 0, answer }];
    },
  };
  const policy: EngineServices['policy'] = {
    revision: () => '1',
    needs: () => new Set(),
    evaluate: (input) => (inputs.push(input), decision),
    ...(firstFetch !== undefined && { firstFetch: () => firstFetch }),
  };
  const definition = { name: 'test', kind: 'proxy' } as RepositoryDefinition;
  const services = {
    policy,
    clock: new ManualClock(),
    logger: silentLogger,
    scanDesk: desk,
  } as unknown as EngineServices;
  const judge = createJudge(definition, services, new ContentFindings('test', desk, silentLogger));
  const settled = async (subject: Subject, context = contextOf('ann')): Promise<SettledVerdict> => {
    const verdict: Verdict = judge(context, subject);
    return verdict.outcome === 'pending' ? await verdict.settle() : verdict;
  };
  return { judge, inputs, settled };
}

function contextOf(name: string): RequestContext {
  const caller = { name, may: () => true };
  const request = { signal: new AbortController().signal } as EngineRequest;
  return { request, caller, client: undefined, now: 1000 };
}

function ruled(action: PolicyAction, more: Partial<PolicyDecision> = {}, malicious = false): PolicyDecision {
  const rules = action === 'allow' ? [] : [{ id: 'rule', action, reason: 'it is so', malicious }];
  return { action, rules, ...more };
}

describe('a verdict', () => {
  const cases = KINDS.flatMap((kind) =>
    ACTIONS.map((action) => ({ kind, action, outcome: action === 'deny' || action === 'hold' ? 'refuse' : 'allow' })),
  );

  it.each(cases)('on a subject of kind $kind is $outcome where policy says $action', async (each) => {
    for (const resource of [artifact, tag])
      expect((await open(ruled(each.action)).settled(SUBJECTS[each.kind](resource))).outcome).toBe(each.outcome);
  });

  it.each(KINDS.filter((kind) => kind !== 'name' && kind !== 'part'))(
    'on an exempt resource as %s is a refusal for malice alone',
    async (kind) => {
      const subject = SUBJECTS[kind](exempt);
      for (const action of ['deny', 'hold'] as const) {
        expect((await open(ruled(action)).settled(subject)).outcome).toBe('allow');
        expect((await open(ruled(action, {}, true)).settled(subject)).outcome).toBe('refuse');
      }
    },
  );

  it.each(KINDS)('on a subject of kind %s is for its caller, unless it is for everybody', async (kind) => {
    const { inputs, settled } = open(ALLOWED);
    await settled(SUBJECTS[kind](artifact));
    const caller = kind === 'name' || kind === 'part' ? undefined : 'ann';
    expect(inputs.map((input) => [input.caller, input.now])).toEqual(inputs.map(() => [caller, 1000]));
    expect(inputs.length).toBeGreaterThan(0);
  });

  const LATE = { allow: 'allow', deny: 'refuse', hold: 'retry' } as const;
  it.each(KINDS.flatMap((kind) => (['allow', 'deny', 'hold'] as const).map((onTimeout) => ({ kind, onTimeout }))))(
    'on a subject of kind $kind, whose reports are late, is for bytes as the rule says: $onTimeout',
    async ({ kind, onTimeout }) => {
      const firstFetch: FirstFetch = { action: 'hold', deadline: 0, onTimeout };
      const { settled } = open(ruled('allow', { pending: true }), firstFetch);
      const verdict = await settled(SUBJECTS[kind](artifact));
      expect(verdict.outcome).toBe(kind === 'cached' || kind === 'fetched' ? LATE[onTimeout] : 'allow');
    },
  );

  it.each([
    ['artifact', artifact],
    ['sidecar', artifactOf('sidecar')],
    ['name for bytes', tag],
  ] as const)('on cached bytes (%s) asks policy once for each caller and document', async (_kind, resource) => {
    const { judge, inputs, settled } = open(ALLOWED);
    const subject = SUBJECTS.cached(resource);
    await settled(subject);
    expect(inputs.length).toBeGreaterThan(0);
    inputs.length = 0;
    expect(judge(contextOf('ann'), subject)).toMatchObject({ outcome: 'allow' });
    expect(inputs).toEqual([]);
    expect(judge(contextOf('bob'), subject).outcome).toBe('pending');
    expect(judge(contextOf('ann'), { ...subject, document: DIGEST } as Subject).outcome).toBe('pending');
    expect(judge({ ...contextOf('ann'), now: 61_000 }, subject).outcome).toBe('pending');
  });

  it('is allowed for what policy has no name for', async () => {
    const { inputs, settled } = open(ruled('deny'));
    const nameless = protocol.artifact({ class: 'file', key: artifact.key });
    const entry: Entry = { ...entryOf(artifact.key), coordinates: undefined };
    const subjects: Subject[] = [
      { kind: 'name', coordinates: undefined },
      { kind: 'fetched', resource: nameless, coordinates: undefined },
      { kind: 'part', namedBy: entry },
      { kind: 'sidecar', resource: nameless, coordinates: undefined },
      { kind: 'cached', resource: nameless, entry, document: undefined, describe: async () => undefined },
    ];
    for (const subject of subjects) expect(await settled(subject)).toEqual({ outcome: 'allow', judgement: undefined });
    expect(inputs).toEqual([]);
  });
});

describe('policy', () => {
  it('is asked in one place of the engine', async () => {
    const files = (await readdir(ENGINE, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const asking: string[] = [];
    for (const file of files) if (/\.evaluate\(/.test(await readFile(join(ENGINE, file), 'utf8'))) asking.push(file);
    expect(asking).toEqual(['policy/evaluation.ts']);
    const evaluating: string[] = [];
    for (const file of files)
      if (/createEvaluate\(/.test(await readFile(join(ENGINE, file), 'utf8'))) evaluating.push(file);
    expect(evaluating.sort()).toEqual(['policy/evaluation.ts', 'policy/judge.ts']);
  });
});
