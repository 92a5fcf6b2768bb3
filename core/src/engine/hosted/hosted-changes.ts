import { setTimeout as wait } from 'node:timers/promises';
import type { PackageCoordinates } from '../../api/coordinates.js';
import type { Entry, Expectation } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { HostedChange, HostedContext, ReceivedEntry } from '../../api/hosted.js';
import type { UploadResource } from '../request/resource.js';
import { authorizeNames } from '../authorize.js';
import { hook } from '../request/call-hook.js';
import { contentOf } from '../store/content.js';
import { requireAllowed } from '../policy/verdict.js';
import { noneMatch } from '../reply/range.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import { changeReply, defaultReply } from './change-reply.js';
import type { ReplyParts } from '../reply/reply-parts.js';
import { listEntries } from './list-entries.js';
import { isLost, restoreLost } from './restore-lost.js';
import { storeParts } from './store-parts.js';
import { Turns } from '../request/turns.js';
import { checkIntegrity, contentOfBody, receiveBody, type UploadBody } from '../store/upload-body.js';

/** The number of times that a change is computed because of others, before its client is told to retry. */
const MAX_TRIES = 40;
/** The longest pause between two tries, in milliseconds. */
const MAX_PAUSE = 20;
const NO_BODY = contentOf(0, 'application/octet-stream', () => []);

/** A change that a client asked for, with the body that it sent. */
interface Wanted {
  readonly context: RequestContext;
  readonly upload: UploadResource;
  readonly body: UploadBody | undefined;
}

/** Changes of a hosted repository. */
export type HostedChanges = ReturnType<typeof createHostedChanges>;

/** Changes a hosted repository. Each change is made as a whole or not at all, computed from the state at that time. */
export function createHostedChanges({ definition, services, judge }: ReplyParts) {
  const { name, plugin } = definition;
  const { blobs, entries, spools } = services.storage;
  const turns = new Turns();
  // Not from memory, which may be a second behind another replica: the change would be refused again and again.
  const find = (key: string): Promise<Entry | undefined> => services.entries.find(name, key);

  /** Takes an upload, removes or links entries. */
  async function change(context: RequestContext, upload: UploadResource): Promise<EngineReply> {
    admit(context, upload);
    if (upload.action !== 'put') return await carryOut({ context, upload, body: undefined });
    // Before the body is read: most clients that will be refused send it in vain.
    const kept = await find(upload.key);
    checkConditions(context.request, kept);
    const isFinal = upload.make === undefined && !upload.overwrite;
    if (kept !== undefined && isFinal && !(await isLost(services, kept))) throw exists(upload.key);
    const body = await receiveBody(spools, context.request, upload.maxBytes);
    try {
      return await receive(context, upload, body);
    } finally {
      await body.release();
    }
  }

  /** Takes an upload whose body is here. The caller releases it. */
  async function receive(context: RequestContext, upload: UploadResource, body: UploadBody): Promise<EngineReply> {
    await checkIntegrity(body, upload.integrity ?? []);
    const isRestored = await restoreLost({ definition, services }, body);
    try {
      return await carryOut({ context, upload, body });
    } catch (error) {
      if (!isRestored || !(error instanceof EntrepotError) || error.kind !== 'conflict') throw error;
      const kept = await find(upload.key);
      if (kept?.digest !== body.digest) throw error;
      // It exists, and has its bytes again: that is what the client wanted.
      const reply = defaultReply(context.request, upload, kept, [kept]);
      return changeReply(definition, context.request, upload.class, reply);
    }
  }

  /** @throws EntrepotError when this repository takes no changes, or policy not this one */
  function admit(context: RequestContext, upload: UploadResource | undefined): void {
    if (definition.kind !== 'hosted') {
      throw new EntrepotError('method-not-allowed', `Repository ${name} is a proxy: it takes no uploads`, {
        headers: { Allow: 'GET, HEAD' },
      });
    }
    requireVersion(context, upload?.coordinates);
  }

  async function carryOut(wanted: Wanted): Promise<EngineReply> {
    const { exclusive } = wanted.upload;
    return exclusive === undefined
      ? await tryToCarryOut(wanted)
      : await turns.take(exclusive, () => tryToCarryOut(wanted));
  }

  async function tryToCarryOut(wanted: Wanted): Promise<EngineReply> {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      if (tries > 0) await wait(Math.random() * Math.min(MAX_PAUSE, 2 * tries));
      const reply = await attempt(wanted);
      if (reply !== undefined) return reply;
    }
    throw new EntrepotError('storage', `${wanted.upload.key} is being changed by too many at once`, {
      code: 'CHANGE_CONTENDED',
      status: 503,
      retryAfter: 1,
    });
  }

  /** `undefined` when the state that the change was computed from has changed. */
  async function attempt(wanted: Wanted): Promise<EngineReply | undefined> {
    const { context, upload, body } = wanted;
    const kept = await find(upload.key);
    const conditional = checkConditions(context.request, kept);
    const change = await makeUp(wanted, kept);
    const { create = [], replace = [], remove = [], expect = [] } = change;
    const parts = [...create, ...replace];
    check(context, upload, change);
    await requireAbsent(create);
    const put = await storeParts({ definition, services }, parts, body, context.caller.name);
    if (put.length > 0 || remove.length > 0) {
      const expected: Expectation[] = [...expect, ...create.map(({ key }) => ({ key }))];
      // A blob that is not put stays only as long as the entry that has it.
      for (const { sameAs } of parts) if (sameAs !== undefined) expected.push(sameAs);
      if (conditional) expected.push({ key: upload.key, digest: kept?.digest });
      const carriedOut = await entries.change({
        repository: name,
        expect: expected.map(({ key, digest }) => ({ key, digest })),
        put,
        remove,
      });
      if (!carriedOut) {
        await requireAbsent(create);
        return undefined;
      }
      services.observer?.changed?.({
        repository: name,
        class: upload.class,
        created: create.map(({ key }) => key),
        replaced: replace.map(({ key }) => key),
        removed: remove,
        context,
      });
    }
    const reply = change.reply ?? defaultReply(context.request, upload, kept, put);
    return changeReply(definition, context.request, upload.class, reply);
  }

  async function requireAbsent(parts: readonly ReceivedEntry[]): Promise<void> {
    for (const { key } of parts) if ((await find(key)) !== undefined) throw exists(key);
  }

  async function makeUp({ context, upload, body }: Wanted, kept: Entry | undefined): Promise<HostedChange> {
    const { make, mediaType = 'application/octet-stream' } = upload;
    if (make !== undefined) {
      const content = body === undefined ? NO_BODY : contentOfBody(body, mediaType);
      return await hook(plugin.id, 'make', () => make(content, hookContext(context)));
    }
    if (body !== undefined) {
      const part: ReceivedEntry = { key: upload.key, mediaType, coordinates: upload.coordinates };
      return upload.overwrite ? { replace: [part] } : { create: [part] };
    }
    if (upload.action === 'link') throw new EntrepotError('plugin', `Plugin ${plugin.id} links, but has no make`);
    if (kept === undefined) throw missing(upload.key);
    return { remove: [upload.key], expect: [{ key: upload.key, digest: kept.digest }] };
  }

  function hookContext({ request, caller }: RequestContext): HostedContext {
    return {
      baseUrl: request.baseUrl,
      caller,
      find,
      list: (prefix) => listEntries(services.entries, name, { prefix }),
      content: (entry) => blobs.content(entry),
    };
  }

  /** @throws EntrepotError for an invalid result of a hook, and for names that the caller may not change; Denial for what policy refuses */
  function check(
    context: RequestContext,
    { forAnyName }: UploadResource,
    { create = [], replace = [], remove = [] }: HostedChange,
  ): void {
    const keys = new Set<string>();
    for (const key of [...create, ...replace].map((part) => part.key).concat(remove)) {
      if (keys.has(key)) throw new EntrepotError('plugin', `Plugin ${plugin.id} changes ${key} twice`);
      keys.add(key);
    }
    const named = [...create, ...replace].flatMap(({ coordinates }) => coordinates ?? []);
    if (forAnyName === true) {
      if (named.length === 0) throw new EntrepotError('plugin', `Plugin ${plugin.id} names nothing that it puts`);
      authorizeNames(definition, context, new Set(named.map((coordinates) => coordinates.name)));
    }
    for (const coordinates of named) requireVersion(context, coordinates);
  }

  function requireVersion({ now }: RequestContext, coordinates: PackageCoordinates | undefined): void {
    // Whoever uploads it, it is for all.
    if (coordinates !== undefined) requireAllowed(judge({ now }, { kind: 'version', coordinates }));
  }

  return { change, receive, admit };
}

/** `If-Match` and `If-None-Match` of a change (RFC 9110 §13.1.1, §13.1.2). @returns whether there were any. */
function checkConditions(request: EngineRequest, kept: Entry | undefined): boolean {
  const match = request.header('if-match');
  const noMatch = request.header('if-none-match');
  const matches = (header: string): boolean => kept !== undefined && noneMatch(header, `"${kept.digest}"`);
  if ((match !== undefined && !matches(match)) || (noMatch !== undefined && matches(noMatch))) {
    throw new EntrepotError(
      'precondition-failed',
      'The file is not in the state that If-Match or If-None-Match asks for',
    );
  }
  return match !== undefined || noMatch !== undefined;
}

/** The error for an entry that is not there. */
export function missing(key: string): EntrepotError {
  return new EntrepotError('not-found', `${key} does not exist`);
}

function exists(key: string): EntrepotError {
  return new EntrepotError('conflict', `${key} exists already, and this repository does not overwrite`);
}
