import { createHash, randomUUID, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteRange } from '../../api/blob-store.js';
import type { Clock } from '../../api/clock.js';
import type { Digest } from '../../api/digest.js';
import { EntrepotError } from '../../api/errors.js';
import type { SessionState } from '../../api/hosted.js';
import { asBrokeOff, brokeOff, diskFull, tooLarge, type UploadBody } from './upload-body.js';

// <path>/
//   <id>.json     {"version":1,"repository","scope","owner","created"}
//   <id>.bytes    what has come so far; its length and its time are the session's

const VERSION = 1;
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** How often the folder is searched for sessions that were left alone; milliseconds. */
const SWEEP_INTERVAL = 600_000;
/** Sessions at one time: each is two files and a little memory. */
const MAX_SESSIONS = 10_000;
/** Limits for one repository, and for one user in it: nobody takes the place of all others. */
const MAX_OF_REPOSITORY = 5000;
const MAX_OF_OWNER = 1000;
const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Where sessions are kept, and within which bounds. */
export interface UploadSessionsOptions {
  /** The folder. Made when it does not exist. Survives the process. */
  readonly path: string;
  /** The bound on all sessions together, in bytes. */
  readonly maxBytes: number;
  /** How long a session may be left alone, in milliseconds. */
  readonly maxAge: number;
  readonly clock: Clock;
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
  /** How many bytes the client announced; absent: it did not say. */
  readonly length?: number | undefined;
  /** Where the client says that they begin and end. Absent: at the end. */
  readonly range?: ByteRange | undefined;
  /** The most bytes of the whole session. */
  readonly maxBytes: number;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

interface Session {
  readonly id: string;
  readonly repository: string;
  readonly scope: string;
  /** The name of who began it; empty for those without one. */
  readonly owner: string;
  size: number;
  /** Of the first `hashed` bytes. Absent after a restart: then the bytes are read again. */
  hash: Hash | undefined;
  /** Milliseconds since the epoch. */
  touchedAt: number;
  busy: boolean;
  gone: boolean;
}

/** Uploads in several requests. Each is a growing file, so that what has come survives a restart. */
export class UploadSessions {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #maxAge: number;
  readonly #clock: Clock;
  readonly #sessions = new Map<string, Promise<Session | undefined>>();
  /** From the oldest to the newest. */
  readonly #open = new Set<Session>();
  #used = 0;
  #sweptAt: number;

  /** Opens the sessions in a folder, and removes those that were left alone. */
  static async open(options: UploadSessionsOptions): Promise<UploadSessions> {
    const sessions = new UploadSessions(options);
    await mkdir(options.path, { recursive: true, mode: 0o700 });
    await sessions.#sweep();
    for (const id of await sessions.#ids()) await sessions.#load(id);
    return sessions;
  }

  private constructor({ path, maxBytes, maxAge, clock }: UploadSessionsOptions) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#maxAge = maxAge;
    this.#clock = clock;
    this.#sweptAt = clock.now();
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /**
   * Begins a session without bytes. Where there are too many, it takes the place of the oldest one that has none: of the same
   * person, of the repository, of all.
   * @param owner the name of who begins it; empty for those without one
   */
  async begin(repository: string, scope: string, owner = ''): Promise<SessionState> {
    if (Math.abs(this.#clock.now() - this.#sweptAt) >= SWEEP_INTERVAL) await this.#sweep();
    await this.#makeRoom(MAX_OF_OWNER, (one) => one.repository === repository && one.owner === owner);
    await this.#makeRoom(MAX_OF_REPOSITORY, (one) => one.repository === repository);
    await this.#makeRoom(MAX_SESSIONS, () => true);
    const id = randomUUID();
    const now = this.#clock.now();
    const session: Session = {
      id,
      repository,
      scope,
      owner,
      size: 0,
      hash: createHash('sha256'),
      touchedAt: now,
      busy: false,
      gone: false,
    };
    this.#open.add(session);
    try {
      await writeFile(this.#bytesOf(id), '', { flag: 'wx', mode: 0o600 });
      await utimes(this.#bytesOf(id), now / 1000, now / 1000);
      // Last: without it there is no session.
      const facts = { version: VERSION, repository, scope, owner, created: new Date(now).toISOString() };
      await writeFile(this.#factsOf(id), JSON.stringify(facts), { flag: 'wx', mode: 0o600 });
    } catch (error) {
      await this.#remove(session);
      throw storageError(error);
    }
    this.#sessions.set(id, Promise.resolve(session));
    return { id, size: 0 };
  }

  async #makeRoom(most: number, counts: (session: Session) => boolean): Promise<void> {
    if (this.#open.size < most) return;
    const counted = [...this.#open].filter(counts);
    if (counted.length < most) return;
    const oldest = counted.find(({ size, busy }) => size === 0 && !busy);
    if (oldest !== undefined) return await this.#remove(oldest);
    throw new EntrepotError('storage', `There are ${most} unfinished uploads; expected some of them to end`, {
      code: 'TOO_MANY_SESSIONS',
      status: 503,
      retryAfter: 60,
    });
  }

  /** How far a session has come. */
  async state(name: SessionName): Promise<SessionState> {
    const { id, size } = await this.#find(name);
    return { id, size };
  }

  /**
   * Adds bytes. What came before a body broke off is kept, so that the client can go on from there.
   * @throws EntrepotError `range-not-satisfiable` when `range` does not begin at the end, `conflict` while somebody else adds
   */
  async append(name: SessionName, part: SessionPart): Promise<SessionState> {
    const session = await this.#find(name);
    await this.#alone(session, () => this.#append(session, part));
    return { id: session.id, size: session.size };
  }

  /**
   * Adds bytes and ends the session: its bytes are moved to `path`. From then on nobody can add to them, also not after a
   * crash: the file may become a blob as it is.
   */
  async complete(name: SessionName, part: SessionPart, path: string): Promise<UploadBody> {
    const session = await this.#find(name);
    return await this.#alone(session, async () => {
      await this.#append(session, part);
      const { size, hash } = session;
      try {
        await rename(this.#bytesOf(session.id), path);
        const digest: Digest = hash === undefined ? await digestOfFile(path) : `sha256:${hash.digest('hex')}`;
        // What is moved is still counted until it is released.
        this.#used += size;
        const release = async (): Promise<void> => {
          this.#used -= size;
          await rm(path, { force: true });
        };
        return { size, digest, path, release };
      } catch (error) {
        await rm(path, { force: true });
        throw storageError(error);
      } finally {
        await this.#remove(session);
      }
    });
  }

  /** Ends a session, also while somebody adds to it. */
  async cancel(name: SessionName): Promise<SessionState> {
    const session = await this.#find(name);
    const { id, size } = session;
    await this.#remove(session);
    return { id, size };
  }

  async #append(session: Session, part: SessionPart): Promise<void> {
    const { range, length: announced, maxBytes } = part;
    const start = session.size;
    if (range !== undefined && range.start !== start) {
      throw new EntrepotError(
        'range-not-satisfiable',
        `The upload has ${start} bytes; expected the next ones to begin there, found ${range.start}`,
      );
    }
    const length = range === undefined ? announced : range.end - range.start + 1;
    if (announced !== undefined && announced !== length) throw wrongSize(length, announced);
    if (start + (length ?? 0) > maxBytes) throw tooLarge(maxBytes);
    const file = await this.#openFile(session);
    try {
      const came = await this.#write(session, file, part);
      if (length !== undefined && came !== length) throw wrongSize(length, came);
    } catch (error) {
      // What was refused as a whole must not be half there.
      if (error instanceof EntrepotError && REFUSED.has(error.code)) await this.#truncate(session, file, start);
      throw error;
    } finally {
      await this.#touch(session, file);
    }
  }

  /** @returns how many bytes came. */
  async #write(session: Session, file: FileHandle, { body, maxBytes, signal }: SessionPart): Promise<number> {
    let came = 0;
    try {
      for await (const bytes of body) {
        if (session.size + bytes.length > maxBytes) throw tooLarge(maxBytes);
        await this.#writeOne(session, file, bytes);
        came += bytes.length;
      }
    } catch (error) {
      throw asBrokeOff(error);
    }
    if (signal.aborted) throw brokeOff();
    return came;
  }

  async #writeOne(session: Session, file: FileHandle, bytes: Buffer): Promise<void> {
    if (session.gone) throw unknown(session.id);
    if (this.#used + bytes.length > this.#maxBytes) throw diskFull();
    this.#used += bytes.length;
    let done = 0;
    try {
      while (done < bytes.length) {
        const writing = file.write(bytes, done, bytes.length - done, session.size + done);
        // Meanwhile: the write is another thread's.
        if (done === 0) session.hash?.update(bytes);
        done += (await writing).bytesWritten;
      }
    } catch (error) {
      session.hash = undefined;
      throw storageError(error);
    } finally {
      this.#used -= bytes.length - done;
      if (session.gone) this.#used -= done;
      else session.size += done;
    }
    if (session.gone) throw unknown(session.id);
  }

  async #truncate(session: Session, file: FileHandle, size: number): Promise<void> {
    if (session.gone) return;
    await file.truncate(size);
    this.#used -= session.size - size;
    session.size = size;
    session.hash = undefined;
  }

  async #openFile(session: Session): Promise<FileHandle> {
    try {
      return await open(this.#bytesOf(session.id), 'r+');
    } catch (error) {
      throw storageError(error);
    }
  }

  async #touch(session: Session, file: FileHandle): Promise<void> {
    session.touchedAt = this.#clock.now();
    await file.utimes(session.touchedAt / 1000, session.touchedAt / 1000).catch(() => {});
    await file.close();
  }

  /** Two who add at once would mix their bytes. */
  async #alone<Result>(session: Session, work: () => Promise<Result>): Promise<Result> {
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

  async #find({ repository, scope, id }: SessionName): Promise<Session> {
    const session = ID.test(id) ? await this.#load(id) : undefined;
    if (session === undefined || session.gone) throw unknown(id);
    if (session.repository !== repository || session.scope !== scope) throw unknown(id);
    if (!this.#isExpired(session.touchedAt) || session.busy) return session;
    await this.#remove(session);
    throw unknown(id);
  }

  /** Once for all who ask meanwhile: two copies of one session would not see each other. */
  #load(id: string): Promise<Session | undefined> {
    const known = this.#sessions.get(id);
    if (known !== undefined) return known;
    const loading = this.#read(id).then((session) => {
      if (session === undefined) this.#sessions.delete(id);
      return session;
    });
    this.#sessions.set(id, loading);
    return loading;
  }

  async #read(id: string): Promise<Session | undefined> {
    try {
      const { size, mtimeMs } = await stat(this.#bytesOf(id));
      const facts = JSON.parse(await readFile(this.#factsOf(id), 'utf8')) as Record<string, unknown>;
      const { version, repository, scope, owner = '' } = facts;
      if (version !== VERSION || typeof repository !== 'string' || typeof scope !== 'string') return undefined;
      this.#used += size;
      const hash = size === 0 ? createHash('sha256') : undefined;
      const session = {
        id,
        repository,
        scope,
        owner: String(owner),
        size,
        hash,
        touchedAt: mtimeMs,
        busy: false,
        gone: false,
      };
      this.#open.add(session);
      return session;
    } catch {
      // What cannot be read is no session; its files go when they are old.
      return undefined;
    }
  }

  async #remove(session: Session): Promise<void> {
    if (session.gone) return;
    session.gone = true;
    this.#open.delete(session);
    this.#used -= session.size;
    this.#sessions.delete(session.id);
    await this.#removeFiles(session.id);
  }

  async #removeFiles(id: string): Promise<void> {
    await rm(this.#factsOf(id), { force: true });
    await rm(this.#bytesOf(id), { force: true });
  }

  /** Removes what was left alone for too long, in memory and in the folder. */
  async #sweep(): Promise<void> {
    this.#sweptAt = this.#clock.now();
    for (const loading of this.#sessions.values()) {
      const session = await loading;
      if (session !== undefined && !session.busy && this.#isExpired(session.touchedAt)) await this.#remove(session);
    }
    for (const id of await this.#ids()) {
      if (this.#sessions.has(id)) continue;
      const time = await stat(this.#bytesOf(id)).catch(() => stat(this.#factsOf(id)).catch(() => undefined));
      if (time !== undefined && this.#isExpired(time.mtimeMs)) await this.#removeFiles(id);
    }
  }

  async #ids(): Promise<ReadonlySet<string>> {
    const names = (await readdir(this.#path)).map((name) => name.replace(/\.(?:json|bytes)$/, ''));
    return new Set(names.filter((name) => ID.test(name)));
  }

  #isExpired(touchedAt: number): boolean {
    return this.#clock.now() - touchedAt > this.#maxAge;
  }

  #bytesOf(id: string): string {
    return join(this.#path, `${id}.bytes`);
  }

  #factsOf(id: string): string {
    return join(this.#path, `${id}.json`);
  }
}

const REFUSED = new Set(['TOO_LARGE', 'SIZE_MISMATCH']);

async function digestOfFile(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: 256 * 1024 })) hash.update(bytes as Buffer);
  return `sha256:${hash.digest('hex')}`;
}

function wrongSize(expected: number | undefined, found: number): EntrepotError {
  return new EntrepotError('bad-request', `Expected ${expected} bytes, found ${found}`, { code: 'SIZE_MISMATCH' });
}

function unknown(id: string): EntrepotError {
  return new EntrepotError('not-found', `There is no upload ${JSON.stringify(id.slice(0, 64))}`, {
    code: 'SESSION_UNKNOWN',
  });
}

function storageError(error: unknown): EntrepotError {
  if (NO_ROOM.has((error as NodeJS.ErrnoException).code ?? '')) return diskFull();
  return error instanceof EntrepotError
    ? (error as EntrepotError)
    : new EntrepotError('storage', 'An unfinished upload could not be written', { cause: error });
}
