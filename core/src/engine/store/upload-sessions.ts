import { createHash, randomUUID } from 'node:crypto';
import { rm, type FileHandle } from 'node:fs/promises';
import type { Clock } from '../../api/clock.js';
import type { Digest } from '../../api/digest.js';
import { EntrepotError } from '../../api/errors.js';
import type { SessionState } from '../../api/hosted.js';
import { SessionFiles, sessionStorageError } from './session-files.js';
import {
  addingAlone,
  unknownSession,
  wrongSize,
  type Session,
  type SessionName,
  type SessionPart,
  type UploadSessionsOptions,
} from './upload-session.js';
import { asBrokeOff, brokeOff, diskFull, tooLarge, type UploadBody } from './upload-body.js';

/** How often the folder is searched for sessions that were left alone; milliseconds. */
const SWEEP_INTERVAL = 600_000;
/** Sessions at one time: each is two files and a little memory. */
const MAX_SESSIONS = 10_000;
/** Limits for one repository, and for one user in it, so that one user cannot take the place of all others. */
const MAX_OF_REPOSITORY = 5000;
const MAX_OF_OWNER = 1000;

/** Codes of bodies that are refused as a whole. */
const REFUSED = new Set(['TOO_LARGE', 'SIZE_MISMATCH']);

/** Uploads in several requests. Each is a growing file, so that what has come survives a restart. */
export class UploadSessions {
  readonly #files: SessionFiles;
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
    await sessions.#files.open();
    await sessions.#sweep();
    for (const id of await sessions.#files.ids()) await sessions.#load(id);
    return sessions;
  }

  private constructor({ path, maxBytes, maxAge, clock }: UploadSessionsOptions) {
    this.#files = new SessionFiles(path);
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
      await this.#files.create(id, { repository, scope, owner }, now);
    } catch (error) {
      await this.#remove(session);
      throw sessionStorageError(error);
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
   * Appends bytes. Bytes before a broken connection are kept, so that the client can resume.
   * @throws EntrepotError `range-not-satisfiable` when `range` does not begin at the end, `conflict` while another
   * request appends
   */
  async append(name: SessionName, part: SessionPart): Promise<SessionState> {
    const session = await this.#find(name);
    await addingAlone(session, () => this.#append(session, part));
    return { id: session.id, size: session.size };
  }

  /**
   * Appends bytes and ends the session: its bytes are moved to `path`. From then on they cannot change, even after a
   * crash: the file may become a blob as it is.
   */
  async complete(name: SessionName, part: SessionPart, path: string): Promise<UploadBody> {
    const session = await this.#find(name);
    return await addingAlone(session, async () => {
      await this.#append(session, part);
      const { size, hash } = session;
      try {
        const known: Digest | undefined = hash && `sha256:${hash.digest('hex')}`;
        const digest = await this.#files.move(session.id, path, known);
        // What is moved is still counted until it is released.
        this.#used += size;
        const release = async (): Promise<void> => {
          this.#used -= size;
          await rm(path, { force: true });
        };
        return { size, digest, path, release };
      } catch (error) {
        await rm(path, { force: true });
        throw sessionStorageError(error);
      } finally {
        await this.#remove(session);
      }
    });
  }

  /** Ends a session, even while another request appends to it. */
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
    const file = await this.#files.openBytes(session.id);
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
    if (session.gone) throw unknownSession(session.id);
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
      throw sessionStorageError(error);
    } finally {
      this.#used -= bytes.length - done;
      if (session.gone) this.#used -= done;
      else session.size += done;
    }
    if (session.gone) throw unknownSession(session.id);
  }

  async #truncate(session: Session, file: FileHandle, size: number): Promise<void> {
    if (session.gone) return;
    await file.truncate(size);
    this.#used -= session.size - size;
    session.size = size;
    session.hash = undefined;
  }

  async #touch(session: Session, file: FileHandle): Promise<void> {
    session.touchedAt = this.#clock.now();
    await file.utimes(session.touchedAt / 1000, session.touchedAt / 1000).catch(() => {});
    await file.close();
  }

  async #find({ repository, scope, id }: SessionName): Promise<Session> {
    const session = SessionFiles.isId(id) ? await this.#load(id) : undefined;
    if (session === undefined || session.gone) throw unknownSession(id);
    if (session.repository !== repository || session.scope !== scope) throw unknownSession(id);
    if (!this.#isExpired(session.touchedAt) || session.busy) return session;
    await this.#remove(session);
    throw unknownSession(id);
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
    const found = await this.#files.read(id);
    if (found === undefined) return undefined;
    this.#used += found.size;
    const hash = found.size === 0 ? createHash('sha256') : undefined;
    const session: Session = { ...found, id, hash, busy: false, gone: false };
    this.#open.add(session);
    return session;
  }

  async #remove(session: Session): Promise<void> {
    if (session.gone) return;
    session.gone = true;
    this.#open.delete(session);
    this.#used -= session.size;
    this.#sessions.delete(session.id);
    await this.#files.remove(session.id);
  }

  /** Removes what was left alone for too long, in memory and in the folder. */
  async #sweep(): Promise<void> {
    this.#sweptAt = this.#clock.now();
    for (const loading of this.#sessions.values()) {
      const session = await loading;
      if (session !== undefined && !session.busy && this.#isExpired(session.touchedAt)) await this.#remove(session);
    }
    for (const id of await this.#files.ids()) {
      if (this.#sessions.has(id)) continue;
      const touchedAt = await this.#files.touchedAt(id);
      if (touchedAt !== undefined && this.#isExpired(touchedAt)) await this.#files.remove(id);
    }
  }

  #isExpired(touchedAt: number): boolean {
    return this.#clock.now() - touchedAt > this.#maxAge;
  }
}
