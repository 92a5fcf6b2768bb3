import type { Hash } from 'node:crypto';
import type { ByteRange } from '../../api/blob-store.js';
import type { Clock } from '../../api/clock.js';
import { EntrepotError } from '../../api/errors.js';
import type { SessionState } from '../../api/hosted.js';
import type { SessionFacts } from './session-files.js';
import type { UploadBody } from './upload-body.js';

/** The folder of sessions, and their bounds. */
export interface UploadSessionsOptions {
  /** The folder. Made when it does not exist. Survives the process. */
  readonly path: string;
  /** The bound on all sessions together, in bytes. */
  readonly maxBytes: number;
  /** The time for which a session may be left alone, in milliseconds. */
  readonly maxAge: number;
  readonly clock: Clock;
  /** Other processes, which have sessions of their own. Absent: there are none. */
  readonly peers?: SessionPeers | undefined;
}

/** The sessions of one process, as requests use them. */
export interface SessionUse {
  state(name: SessionName): Promise<SessionState>;
  append(name: SessionName, part: SessionPart): Promise<SessionState>;
  /** @param path where the bytes are put */
  complete(name: SessionName, part: SessionPart, path: string): Promise<UploadBody>;
  cancel(name: SessionName): Promise<SessionState>;
}

/** Processes that find each other's sessions. */
export interface SessionPeers {
  /** Tells others that this process has a session. */
  hold(id: string): Promise<void>;
  drop(id: string): void;
  /** The sessions of the process that has this one. `undefined`: none that is heard of has it. */
  having(id: string): Promise<SessionUse | undefined>;
}

/** Names a session: one of another repository or scope does not exist. */
export interface SessionName {
  readonly repository: string;
  readonly scope: string;
  readonly id: string;
}

/** Bytes that are added to a session. */
export interface SessionPart {
  readonly body: AsyncIterable<Buffer>;
  /** The bytes that the client announced. Absent: it announced none. */
  readonly length?: number | undefined;
  /** The client's range for them. Absent: at the end. */
  readonly range?: ByteRange | undefined;
  /** The most bytes of the whole session. */
  readonly maxBytes: number;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

/** An upload that has begun. */
export interface Session extends SessionFacts {
  readonly id: string;
  size: number;
  /** Of the first `hashed` bytes. Absent after a restart: then the bytes are read again. */
  hash: Hash | undefined;
  /** Milliseconds since the epoch. */
  touchedAt: number;
  busy: boolean;
  gone: boolean;
}

/** Runs `work`, which adds to a session. Two requests that add at once would mix their bytes. */
export async function addingAlone<Result>(session: Session, work: () => Promise<Result>): Promise<Result> {
  if (session.busy) {
    throw new EntrepotError('conflict', 'Another request is adding to this upload', { code: 'SESSION_BUSY' });
  }
  session.busy = true;
  try {
    return await work();
  } finally {
    session.busy = false;
  }
}

/** The error for a body of another size than was announced. */
export function wrongSize(expected: number | undefined, found: number): EntrepotError {
  return new EntrepotError('bad-request', `Expected ${expected} bytes, found ${found}`, { code: 'SIZE_MISMATCH' });
}

/** The error for a session that does not exist. */
export function unknownSession(id: string): EntrepotError {
  return new EntrepotError('not-found', `There is no upload ${JSON.stringify(id.slice(0, 64))}`, {
    code: 'SESSION_UNKNOWN',
  });
}
