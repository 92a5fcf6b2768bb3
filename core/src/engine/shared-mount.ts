import { Readable } from 'node:stream';
import type { AccessNeed, Caller } from '../api/access.js';
import { asEntrepotError, EntrepotError } from '../api/errors.js';
import type { SharedAnswer, SharedQuestion, SharedRepository } from '../api/protocol.js';
import type { LocalReply } from '../plugin/resource.js';
import { errorReply } from './reply/error-reply.js';
import { localReply } from './reply/local-reply.js';
import { withDefaults } from './request/merge-headers.js';
import { plainGet } from './request/plain-get.js';
import { countRequest, type CallerLimits } from './request/caller-limits.js';
import { requestHead } from './request/request-head.js';
import type { EngineReply, EngineRequest } from './request/request.js';
import type { RepositoryEngine } from './store/repository.js';

const READ: AccessNeed = { right: 'read' };
const WRITE: AccessNeed = { right: 'write' };

/** The largest answer of a repository that one of the mount is made of; bytes. */
const MAX_ANSWER = 4 * 1024 * 1024;

/** A repository at a shared mount. */
export interface SharedMountMember {
  readonly engine: RepositoryEngine;
  /** The facts that `select` of the plugin sees. */
  readonly facts: SharedRepository;
}

/** Parts of a shared mount. */
export interface SharedMountOptions {
  /** The path that the ecosystem fixes: `/v2`. */
  readonly mount: string;
  /** At least one. Where they are of several plugins, the first answer holds. */
  readonly members: readonly SharedMountMember[];
  /** Whether the one member has the mount to itself: everything but its root is for that repository. */
  readonly exclusive: boolean;
  /** For the answers of the mount itself; repositories have their own. Absent: without limit. */
  readonly limits?: CallerLimits | undefined;
}

type Answering = Pick<RepositoryEngine, 'handle' | 'keysAt'>;

/** A shared mount. What answers never rejects, as a repository does not. */
export interface SharedMount extends Answering {
  /** Finds the repository that answers below the name of a member: that one, unless its plugin selects another. */
  below(name: string): Answering;
}

/** Answers the requests at a shared mount whose path names no repository, or whose query names another one. */
export function createSharedMount({ mount, members, exclusive, limits }: SharedMountOptions): SharedMount {
  const [first] = members as readonly [SharedMountMember, ...SharedMountMember[]];
  const facts = members.map((member) => member.facts);
  const plugins = [...new Set(members.map(({ engine }) => engine.definition.plugin))];
  const guarded = members.filter(({ engine }) => isGuarded(engine));
  // Who asks at the mount is a client of the ecosystem that fixed it, whoever else is found there.
  const owner = members.find(({ engine }) => engine.definition.plugin.http?.mountAlone === mount) ?? first;

  return {
    async handle(request) {
      if (exclusive && request.rawPath !== '/') return await first.engine.handle(request);
      try {
        const reply = await answered(request, select(request));
        if (reply !== undefined) return reply;
        if (exclusive) return await first.engine.handle(request);
        throw new EntrepotError('not-found', 'No repository is served under this name', { code: 'NO_ROUTE' });
      } catch (error) {
        return failed(request, error);
      }
    },
    async keysAt(place) {
      if (exclusive && place.rawPath !== '/') return await first.engine.keysAt(place);
      return await chosen(select(plainGet(place)))?.keysAt(place);
    },
    below(name) {
      const { engine } = members.find(({ facts }) => facts.name === name) as SharedMountMember;
      if (plugins.every((plugin) => plugin.http?.select === undefined)) return engine;
      return {
        async keysAt(place) {
          if (place.rawQuery === '') return await engine.keysAt(place);
          const whole = { ...place, rawPath: `/${name}${place.rawPath}` };
          const answer = select(plainGet(whole), name);
          return await (answer === undefined ? engine.keysAt(place) : chosen(answer)?.keysAt(whole));
        },
        async handle(request) {
          if (request.rawQuery === '') return await engine.handle(request);
          const whole = fromMount(request, name);
          try {
            return (await answered(whole, select(whole, name))) ?? (await engine.handle(request));
          } catch (error) {
            return failed(whole, error);
          }
        },
      };
    },
  };

  async function answered(request: EngineRequest, answer: SharedAnswer | undefined): Promise<EngineReply | undefined> {
    if (answer === undefined) return undefined;
    if ('repository' in answer) return await chosen(answer)?.handle(request);
    countRequest(limits, request);
    if (answer.guarded === true && guarded.length > 0) await requireCaller(guarded, owner, request);
    const reply = 'questions' in answer ? await firstAnswer(request, answer) : answer.reply;
    return reply && ofMount(mount, owner, localReply(mount, request, reply));
  }

  /** The repository that a plugin selected. `undefined`: the mount answers by itself. */
  function chosen(answer: SharedAnswer | undefined): RepositoryEngine | undefined {
    if (answer === undefined || !('repository' in answer)) return undefined;
    return members.find(({ facts }) => facts.name === answer.repository)?.engine;
  }

  async function firstAnswer(
    request: EngineRequest,
    { questions, answer }: Extract<SharedAnswer, { questions: unknown }>,
  ): Promise<LocalReply | undefined> {
    for (const question of questions) {
      const engine = members.find(({ facts }) => facts.name === question.repository)?.engine;
      const reply = await engine?.handle(asQuestion(request, question));
      if (reply?.status !== 200) {
        if (reply?.body instanceof Readable) reply.body.destroy();
        continue;
      }
      const made = answer({ question, headers: reply.headers, body: await bodyOf(reply) });
      if (made !== undefined) return made;
    }
    return answer(undefined);
  }

  function failed(request: EngineRequest, error: unknown): EngineReply {
    return ofMount(mount, owner, errorReply(owner.engine.definition, request, undefined, error));
  }

  function select(request: EngineRequest, named?: string): SharedAnswer | undefined {
    for (const plugin of plugins) {
      const head = requestHead(request, plugin.http);
      try {
        const answer = plugin.http?.select?.(head, facts, named);
        if (answer !== undefined) return answer;
      } catch (error) {
        throw asEntrepotError(error, 'plugin', `select of plugin ${plugin.id} failed`);
      }
    }
    return undefined;
  }
}

/** A request at the mount as another one, below the name of a repository. */
function asQuestion(request: EngineRequest, { repository, path, query }: SharedQuestion): EngineRequest {
  return {
    method: 'GET',
    rawPath: path,
    rawQuery: query,
    body: Readable.from([]),
    baseUrl: `${request.baseUrl}/${repository}`,
    mount: request.mount,
    client: request.client,
    sender: request.sender,
    // Validators of the client are for the mount's own answer.
    header: (name) => (/^(?:if-|range$|accept-encoding$)/.test(name) ? undefined : request.header(name)),
    get signal() {
      return request.signal;
    },
  };
}

async function bodyOf({ body }: EngineReply): Promise<Buffer> {
  if (!(body instanceof Readable)) return body ?? Buffer.alloc(0);
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_ANSWER) throw new EntrepotError('upstream-unavailable', `A list has more than ${MAX_ANSWER} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** A request below the name of a repository as one below the mount. */
function fromMount(request: EngineRequest, name: string): EngineRequest {
  const { method, rawPath, rawQuery, body, baseUrl, mount, client } = request;
  return {
    method,
    rawPath: `/${name}${rawPath}`,
    rawQuery,
    body,
    baseUrl: baseUrl.slice(0, -`/${name}`.length),
    mount,
    client,
    header: (header) => request.header(header),
    get sender() {
      return request.sender;
    },
    get signal() {
      return request.signal;
    },
  };
}

/** Whether authenticated callers have more rights here than others. */
function isGuarded({ definition: { access, kind } }: RepositoryEngine): boolean {
  return access.knowsCallers && (!access.isOpen(READ) || (kind === 'hosted' && !access.isOpen(WRITE)));
}

/** @throws EntrepotError `unauthorized` for a caller whom none of the repositories knows */
async function requireCaller(
  guarded: readonly SharedMountMember[],
  { engine: { definition } }: SharedMountMember,
  request: EngineRequest,
): Promise<void> {
  const authorization = request.header('authorization');
  for (const { engine } of guarded) {
    const caller = await engine.definition.access.authenticate(authorization).catch(unknownCaller);
    if (caller?.name !== undefined) return;
  }
  const [{ engine }] = guarded as readonly [SharedMountMember];
  const challenge = definition.protocol.challenge(READ, request) ?? engine.definition.access.challenge(READ);
  throw new EntrepotError('unauthorized', 'Say who you are', { headers: { 'WWW-Authenticate': challenge } });
}

function unknownCaller(error: unknown): Caller | undefined {
  if (error instanceof EntrepotError && (error as EntrepotError).status === 401) return undefined;
  throw error;
}

/** No single repository answered: the mount did. */
function ofMount(mount: string, { engine }: SharedMountMember, reply: EngineReply): EngineReply {
  const { headers, outcome } = reply;
  return {
    ...reply,
    headers: withDefaults(headers, engine.definition.plugin.http?.replyHeaders),
    outcome: { ...outcome, repository: mount },
  };
}
