import type { Readable } from 'node:stream';
import { EntrepotError } from '../../api/errors.js';
import type { SessionState } from '../../api/hosted.js';
import type { SessionResource } from '../request/resource.js';
import { changeReply } from './change-reply.js';
import type { HostedChanges } from './hosted-changes.js';
import type { ReplyParts } from '../reply/reply-parts.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import { tooLarge } from '../store/upload-body.js';
import type { SessionName, SessionPart } from '../store/upload-session.js';

/** Creates the handler of upload sessions: uploads whose bytes come in several requests. */
export function createSessionHandler(
  { definition, services }: Pick<ReplyParts, 'definition' | 'services'>,
  changes: HostedChanges,
) {
  const { sessions, spools } = services.storage;

  return async (context: RequestContext, session: SessionResource): Promise<EngineReply> => {
    const { request } = context;
    changes.admit(context, session.upload);
    const name: SessionName = { repository: definition.name, scope: session.owner, id: session.id ?? '' };
    switch (session.action) {
      case 'open':
        return await open(context, session);
      case 'append':
        return await inPlace(request, session, name, async () =>
          told(request, session, await sessions.append(name, partOf(request, session))),
        );
      case 'complete':
        return await inPlace(request, session, name, () => complete(context, session, name));
      case 'status':
        return told(request, session, await sessions.state(name));
      case 'cancel':
        return told(request, session, await sessions.cancel(name));
    }
  };

  /** A session, unless what it would bring is already here and can be linked. */
  async function open(context: RequestContext, session: SessionResource): Promise<EngineReply> {
    if (session.upload !== undefined) {
      try {
        return await changes.change(context, session.upload);
      } catch (error) {
        if (!(error instanceof EntrepotError) || error.kind !== 'not-found') throw error;
      }
    }
    return told(context.request, session, await sessions.begin(definition.name, session.owner, context.caller.name));
  }

  async function complete(context: RequestContext, session: SessionResource, name: SessionName): Promise<EngineReply> {
    const { upload } = session;
    if (upload === undefined)
      throw new EntrepotError('plugin', `Plugin ${definition.plugin.id} completes a session, but names no upload`);
    const body = await sessions.complete(name, partOf(context.request, session), spools.newPath());
    try {
      if (body.size > upload.maxBytes) throw tooLarge(upload.maxBytes);
      return await changes.receive(context, upload, body);
    } finally {
      await body.release();
    }
  }

  /** Appends bytes. A client with a wrong offset is told the right one. */
  async function inPlace(
    request: EngineRequest,
    session: SessionResource,
    name: SessionName,
    add: () => Promise<EngineReply>,
  ): Promise<EngineReply> {
    try {
      return await add();
    } catch (error) {
      if (!(error instanceof EntrepotError) || error.kind !== 'range-not-satisfiable') throw error;
      const { message, code } = error as EntrepotError;
      const { headers = {} } = session.reply('status', await sessions.state(name), request);
      throw new EntrepotError('range-not-satisfiable', message, { code, headers });
    }
  }

  function told(request: EngineRequest, session: SessionResource, state: SessionState): EngineReply {
    return changeReply(definition, request, session.class, session.reply(session.action, state, request));
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
