import type { Readable } from 'node:stream';
import { EntrepotError } from '../../api/errors.js';
import type { SessionState } from '../../api/hosted.js';
import type { SessionResource } from '../request/resource.js';
import { changeReply } from './change-reply.js';
import type { HostedChanges } from './hosted-changes.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import { tooLarge } from '../store/upload-body.js';
import type { SessionName, SessionPart } from '../store/upload-session.js';

/** Parts of a hosted repository that serve upload sessions. */
export interface HostedSessionsContext {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly changes: HostedChanges;
}

/** Serves the steps of uploads whose bytes come in several requests. */
export class HostedSessions {
  readonly #context: HostedSessionsContext;

  constructor(context: HostedSessionsContext) {
    this.#context = context;
  }

  async step(context: RequestContext, session: SessionResource): Promise<EngineReply> {
    const { request } = context;
    this.#context.changes.admit(context, session.upload);
    const { sessions } = this.#context.services.storage;
    switch (session.action) {
      case 'open':
        return await this.#open(context, session);
      case 'append':
        return await this.#inPlace(request, session, async (name) =>
          this.#reply(request, session, await sessions.append(name, partOf(request, session))),
        );
      case 'complete':
        return await this.#inPlace(request, session, (name) => this.#complete(context, session, name));
      case 'status':
        return this.#reply(request, session, await sessions.state(this.#nameOf(session)));
      case 'cancel':
        return this.#reply(request, session, await sessions.cancel(this.#nameOf(session)));
    }
  }

  /** A session, unless what it would bring is already here and can be linked. */
  async #open(context: RequestContext, session: SessionResource): Promise<EngineReply> {
    const { definition, services, changes } = this.#context;
    if (session.upload !== undefined) {
      try {
        return await changes.change(context, session.upload);
      } catch (error) {
        if (!(error instanceof EntrepotError) || error.kind !== 'not-found') throw error;
      }
    }
    const state = await services.storage.sessions.begin(definition.name, session.owner, context.caller.name);
    return this.#reply(context.request, session, state);
  }

  async #complete(context: RequestContext, session: SessionResource, name: SessionName): Promise<EngineReply> {
    const { definition, services, changes } = this.#context;
    const { upload } = session;
    if (upload === undefined)
      throw new EntrepotError('plugin', `Plugin ${definition.plugin.id} completes a session, but names no upload`);
    const { sessions, spools } = services.storage;
    const body = await sessions.complete(name, partOf(context.request, session), spools.newPath());
    try {
      if (body.size > upload.maxBytes) throw tooLarge(upload.maxBytes);
      return await changes.receive(context, upload, body);
    } finally {
      await body.release();
    }
  }

  /** Appends bytes. A client with a wrong offset is told the right one. */
  async #inPlace(
    request: EngineRequest,
    session: SessionResource,
    add: (name: SessionName) => Promise<EngineReply>,
  ): Promise<EngineReply> {
    const name = this.#nameOf(session);
    try {
      return await add(name);
    } catch (error) {
      if (!(error instanceof EntrepotError) || error.kind !== 'range-not-satisfiable') throw error;
      const state = await this.#context.services.storage.sessions.state(name);
      const { message, code } = error as EntrepotError;
      const { headers = {} } = session.reply('status', state, request);
      throw new EntrepotError('range-not-satisfiable', message, { code, headers });
    }
  }

  #reply(request: EngineRequest, session: SessionResource, state: SessionState): EngineReply {
    return changeReply(this.#context.definition, request, session.class, session.reply(session.action, state, request));
  }

  #nameOf({ owner, id = '' }: SessionResource): SessionName {
    return { repository: this.#context.definition.name, scope: owner, id };
  }
}

function partOf(request: EngineRequest, { range, maxBytes }: SessionResource): SessionPart {
  const announced = request.header('content-length');
  return {
    body: allThatCame(request.body),
    length: announced === undefined ? undefined : Number(announced),
    range,
    maxBytes,
    signal: request.signal,
  };
}

/**
 * Reads `body` to its end. Node ends a request in the middle when its client closes its half, and iterating gives no more of
 * the bytes that have come and are buffered: they are read after that.
 */
async function* allThatCame(body: Readable): AsyncGenerator<Buffer> {
  try {
    yield* body as AsyncIterable<Buffer>;
  } catch (error) {
    const rest = body.read() as Buffer | null;
    if (rest !== null) yield rest;
    throw error;
  }
}
