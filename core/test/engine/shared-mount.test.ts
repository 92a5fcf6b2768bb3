import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { anonymousAccess, type SharedAnswer } from '../../src/index.js';
import {
  createSharedMount,
  type EngineReply,
  type EngineRequest,
  type RepositoryEngine,
  type RequestPlace,
} from '../../src/engine/index.js';

const REPLY: EngineReply = {
  status: 200,
  headers: {},
  body: Buffer.from('found'),
  outcome: { name: 'hit', repository: 'other', resource: 'artifact' },
};
const SENT: EngineRequest = {
  method: 'GET',
  rawPath: '/tool',
  rawQuery: 'ns=other',
  header: () => undefined,
  body: Readable.from([]),
  baseUrl: 'https://packages.example.com/v2/one',
  mount: '/v2',
  client: '192.0.2.7',
  sender: 'this-machine',
  signal: new AbortController().signal,
};

/** Answers one request at a shared mount. @returns the requests that its repositories were given */
async function asked(answer: SharedAnswer): Promise<EngineRequest[]> {
  const requests: EngineRequest[] = [];
  const plugin = { id: 'test', select: () => answer };
  const members = ['one', 'other'].map((name) => {
    const definition = { name, kind: 'proxy', plugin, protocol: {}, access: anonymousAccess(['read']) };
    const handle = async (request: EngineRequest): Promise<EngineReply> => (requests.push(request), REPLY);
    return {
      engine: { definition, handle } as unknown as RepositoryEngine,
      facts: { name, type: 'test', kind: 'proxy' } as never,
    };
  });
  await createSharedMount({ mount: '/v2', members, exclusive: false }).below('one').handle(SENT);
  return requests;
}

describe('the keys at a path of a shared mount', () => {
  const mountOf = (answer: SharedAnswer | undefined, exclusive = false) => {
    const plugin = { id: 'test', http: { select: () => answer } };
    const members = ['one', 'other'].map((name) => ({
      engine: {
        definition: { name, plugin, access: anonymousAccess(['read']) },
        keysAt: async ({ rawPath }: RequestPlace) => ({ repository: name, keys: [rawPath] }),
      } as unknown as RepositoryEngine,
      facts: { name } as never,
    }));
    return createSharedMount({ mount: '/v2', members, exclusive });
  };
  const place = { rawPath: '/tool', rawQuery: '', mount: '/v2' };
  const asked = { ...place, rawQuery: 'ns=other' };

  it('are those of the repository that a request would be for', async () => {
    const other: SharedAnswer = { repository: 'other' };
    expect(await mountOf(other).keysAt(asked)).toEqual({ repository: 'other', keys: ['/tool'] });
    expect(await mountOf(other).below('one').keysAt(place)).toEqual({ repository: 'one', keys: ['/tool'] });
    expect(await mountOf(other).below('one').keysAt(asked)).toEqual({ repository: 'other', keys: ['/one/tool'] });
    expect(await mountOf(undefined).below('one').keysAt(asked)).toEqual({ repository: 'one', keys: ['/tool'] });
    expect(await mountOf(undefined, true).keysAt(place)).toEqual({ repository: 'one', keys: ['/tool'] });
  });

  it('are of no repository where the mount itself answers', async () => {
    expect(await mountOf(undefined).keysAt(place)).toBeUndefined();
    expect(await mountOf({ reply: { status: 200 } }).keysAt(place)).toBeUndefined();
    expect(
      await mountOf({ reply: { status: 404 } })
        .below('one')
        .keysAt(asked),
    ).toBeUndefined();
  });
});

describe('a request that a shared mount hands on', () => {
  it.each<[string, SharedAnswer]>([
    ['to the repository that it names', { repository: 'other' }],
    [
      'as a question',
      {
        questions: [{ repository: 'other', path: '/tool', query: '' }],
        answer: () => ({ status: 200 }),
      },
    ],
  ])('%s keeps all that is known of its client', async (_way, answer) => {
    const { client, sender, mount, signal } = SENT;
    expect(await asked(answer)).toEqual([expect.objectContaining({ client, sender, mount, signal })]);
  });
});
