import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Readable, Transform } from 'node:stream';
import { json } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { EntrepotError, type SessionState } from '@entrepot/core';
import type { SessionName, SessionPart, SessionUse } from '@entrepot/core/engine';
import { readOutcome } from './outcome.js';
import type { HttpRelayClient } from './relay-client.js';
import type { ACTIONS } from './session-server.js';

type Action = (typeof ACTIONS)[number];
type UploadBody = Awaited<ReturnType<SessionUse['complete']>>;

/** Unfinished uploads that another process has. What is uploaded here goes there, and comes back as a whole. */
export class RemoteSessions implements SessionUse {
  readonly #client: HttpRelayClient;
  readonly #address: string;

  constructor(client: HttpRelayClient, address: string) {
    this.#client = client;
    this.#address = address;
  }

  async state(name: SessionName): Promise<SessionState> {
    return (await json(await this.#ask('state', name))) as SessionState;
  }

  async append(name: SessionName, part: SessionPart): Promise<SessionState> {
    return (await json(await this.#ask('append', name, part))) as SessionState;
  }

  async cancel(name: SessionName): Promise<SessionState> {
    return (await json(await this.#ask('cancel', name))) as SessionState;
  }

  async complete(name: SessionName, part: SessionPart, path: string): Promise<UploadBody> {
    const answer = await this.#ask('complete', name, part);
    const digest = String(answer.headers['entrepot-digest']) as UploadBody['digest'];
    const size = Number(answer.headers['content-length']);
    const release = (): Promise<void> => rm(path, { force: true });
    const hash = createHash('sha256');
    const hashing = new Transform({
      transform: (bytes: Buffer, _encoding, done) => {
        hash.update(bytes);
        done(null, bytes);
      },
    });
    try {
      await pipeline(answer, hashing, createWriteStream(path, { flags: 'wx', mode: 0o600 }));
      if (`sha256:${hash.digest('hex')}` !== digest) throw broken('other bytes came than it had');
      return { size, digest, path, release };
    } catch (error) {
      await release();
      throw error instanceof EntrepotError ? error : broken('they did not come whole', error);
    }
  }

  async #ask(action: Action, { repository, scope, id }: SessionName, part?: SessionPart): Promise<IncomingMessage> {
    const query = new URLSearchParams({ action, repository, scope });
    if (part !== undefined) {
      const { length, range, maxBytes } = part;
      query.set('max', String(maxBytes));
      if (length !== undefined) query.set('length', String(length));
      if (range !== undefined) {
        query.set('start', String(range.start));
        query.set('end', String(range.end));
      }
    }
    const target = `/-/internal/v1/sessions/${id}?${query.toString()}`;
    const signal = part?.signal ?? AbortSignal.timeout(30_000);
    const answer = await this.#client
      .request(this.#address, target, signal, part && Readable.from(part.body, { objectMode: false }))
      .catch((error: unknown) => {
        throw broken('it could not be reached', error);
      });
    if (answer.statusCode === 200) return answer;
    const text = JSON.stringify(await json(answer).catch(() => undefined));
    throw readOutcome(text) ?? broken(`it answered ${answer.statusCode}`);
  }
}

function broken(how: string, cause?: unknown): EntrepotError {
  return new EntrepotError('storage', `Another server has the bytes of this upload, and ${how}`, {
    code: 'SESSION_ELSEWHERE',
    status: 503,
    retryAfter: 5,
    cause,
  });
}
