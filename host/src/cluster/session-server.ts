import { createReadStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { asEntrepotError } from '@entrepot/core';
import type { SessionName, SessionPart, SessionUse } from '@entrepot/core/engine';
import { outcomeOf } from './outcome.js';

/** The path of an unfinished upload of this process. */
export const SESSION_PATH = /^\/-\/internal\/v1\/sessions\/([0-9a-f-]{36})\?/;

/** What others may do with an unfinished upload. */
export const ACTIONS = ['state', 'append', 'complete', 'cancel'] as const;

/** The upload sessions of this process, for others. */
export interface OwnSessions {
  readonly sessions: SessionUse;
  /** A path for one file on the file system of the sessions. */
  newPath(): string;
}

/** Does what another process was asked for with a session of this one. */
export async function answerForSession(
  request: IncomingMessage,
  response: ServerResponse,
  { sessions, newPath }: OwnSessions,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  const id = pathname.slice(pathname.lastIndexOf('/') + 1);
  const name: SessionName = {
    repository: searchParams.get('repository') ?? '',
    scope: searchParams.get('scope') ?? '',
    id,
  };
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const numberOf = (key: string): number | undefined =>
    searchParams.has(key) ? Number(searchParams.get(key)) : undefined;
  const [start, end] = [numberOf('start'), numberOf('end')];
  const part: SessionPart = {
    body: request as AsyncIterable<Buffer>,
    length: numberOf('length'),
    range: start === undefined || end === undefined ? undefined : { start, end },
    maxBytes: numberOf('max') ?? 0,
    signal: gone.signal,
  };
  try {
    switch (searchParams.get('action') as (typeof ACTIONS)[number] | null) {
      case 'state':
        return json(response, 200, await sessions.state(name));
      case 'append':
        return json(response, 200, await sessions.append(name, part));
      case 'cancel':
        return json(response, 200, await sessions.cancel(name));
      case 'complete': {
        const body = await sessions.complete(name, part, newPath());
        try {
          response.writeHead(200, { 'content-length': body.size, 'entrepot-digest': body.digest });
          if (body.size === 0) response.end();
          else await pipeline(createReadStream(body.path), response);
        } finally {
          await body.release();
        }
        return;
      }
      default:
        return json(response, 404, {});
    }
  } catch (error) {
    const failure = asEntrepotError(error, 'storage', 'An unfinished upload could not be used');
    if (response.headersSent) response.destroy();
    else response.writeHead(422, { 'content-type': 'application/json' }).end(outcomeOf(failure));
  }
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
