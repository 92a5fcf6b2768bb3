import { createHash, randomUUID } from 'node:crypto';
import { rm, type FileHandle } from 'node:fs/promises';
import type { Digest } from '../../api/digest.js';
import { EntrepotError } from '../../api/errors.js';
import type { SessionState } from '../../api/hosted.js';
import { isSessionId, openSessionFiles, sessionStorageError } from './session-files.js';
import {
  addingAlone,
  unknownSession,
  wrongSize,
  type Session,
  type SessionName,
  type SessionPart,
  type SessionUse,
  type UploadSessionsOptions,
} from './upload-session.js';
import { asBrokeOff, brokeOff, diskFull, tooLarge, type UploadBody } from './upload-body.js';

/** The interval at which the folder is searched for sessions that were left alone; milliseconds. */
const SWEEP_INTERVAL = 600_000;
/** Sessions at one time: each is two files and a little memory. */
const MAX_SESSIONS = 10_000;
/** Limits for one repository, and for one user in it, so that one user cannot take the place of all others. */
const MAX_OF_REPOSITORY = 5000;
const MAX_OF_OWNER = 1000;

/** Codes of bodies that are refused as a whole. */
const REFUSED = new Set(['TOO_LARGE', 'SIZE_MISMATCH']);

/** Uploads in several requests. */
export type UploadSessions = Awaited<ReturnType<typeof openUploadSessions>>;

/**
 * Opens the upload sessions in a folder, and removes those that were left alone. Each is a growing file, so that what has come survives a
 * restart.
 */
export async function openUploadSessions({
  path: folder,
  maxBytes: maxUsed,
  maxAge,
  clock,
  peers,
}: UploadSessionsOptions) {
  const files = await openSessionFiles(folder);
  const sessions = new Map<string, Promise<Session | undefined>>();
  /** From the oldest to the newest. */
  const open = new Set<Session>();
  let used = 0;
  let sweptAt = clock.now();
  await sweep();
  for (const id of await files.ids()) await load(id);
  const own: SessionUse = { state, append, complete, cancel };
  return {
    begin,
    /** Those of this process alone. */
    own,
    state: async (name: SessionName) => (await havingIt(name)).state(name),
    append: async (name: SessionName, part: SessionPart) => (await havingIt(name)).append(name, part),
    complete: async (name: SessionName, part: SessionPart, to: string) =>
      (await havingIt(name)).complete(name, part, to),
    cancel: async (name: SessionName) => (await havingIt(name)).cancel(name),
    /** Bytes in use. */
    get used() {
      return used;
    },
  };

  /** The sessions among which one is: those of another process, where only that one has it. */
  async function havingIt({ id }: SessionName): Promise<SessionUse> {
    if (peers === undefined || !isSessionId(id) || (await load(id)) !== undefined) return own;
    return (await peers.having(id)) ?? own;
  }

  /**
   * Begins a session without bytes. Where there are too many, it takes the place of the oldest one that has none: of the same
   * person, of the repository, of all.
   * @param owner the name of who begins it; empty for those without one
   */
  async function begin(repository: string, scope: string, owner = ''): Promise<SessionState> {
    if (Math.abs(clock.now() - sweptAt) >= SWEEP_INTERVAL) await sweep();
    await makeRoom(MAX_OF_OWNER, (one) => one.repository === repository && one.owner === owner);
    await makeRoom(MAX_OF_REPOSITORY, (one) => one.repository === repository);
    await makeRoom(MAX_SESSIONS, () => true);
    const id = randomUUID();
    const now = clock.now();
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
    open.add(session);
    try {
      await files.create(id, { repository, scope, owner }, now);
      await peers?.hold(id);
    } catch (error) {
      await remove(session);
      throw sessionStorageError(error);
    }
    sessions.set(id, Promise.resolve(session));
    return { id, size: 0 };
  }

  async function makeRoom(most: number, counts: (session: Session) => boolean): Promise<void> {
    if (open.size < most) return;
    const counted = [...open].filter(counts);
    if (counted.length < most) return;
    const oldest = counted.find(({ size, busy }) => size === 0 && !busy);
    if (oldest !== undefined) return await remove(oldest);
    throw new EntrepotError('storage', `There are ${most} unfinished uploads; expected some of them to end`, {
      code: 'TOO_MANY_SESSIONS',
      status: 503,
      retryAfter: 60,
    });
  }

  /** The state of a session. */
  async function state(name: SessionName): Promise<SessionState> {
    const { id, size } = await find(name);
    return { id, size };
  }

  /**
   * Appends bytes. Bytes before a broken connection are kept, so that the client can resume.
   * @throws EntrepotError `range-not-satisfiable` when `range` does not begin at the end, `conflict` while another
   * request appends
   */
  async function append(name: SessionName, part: SessionPart): Promise<SessionState> {
    const session = await find(name);
    await addingAlone(session, () => add(session, part));
    return { id: session.id, size: session.size };
  }

  /**
   * Appends bytes and ends the session: its bytes are moved to `path`. From then on they cannot change, even after a
   * crash: the file may become a blob as it is.
   */
  async function complete(name: SessionName, part: SessionPart, path: string): Promise<UploadBody> {
    const session = await find(name);
    return await addingAlone(session, async () => {
      await add(session, part);
      const { size, hash } = session;
      try {
        const known: Digest | undefined = hash && `sha256:${hash.digest('hex')}`;
        const digest = await files.move(session.id, path, known);
        // What is moved is still counted until it is released.
        used += size;
        const release = async (): Promise<void> => {
          used -= size;
          await rm(path, { force: true });
        };
        return { size, digest, path, release };
      } catch (error) {
        await rm(path, { force: true });
        throw sessionStorageError(error);
      } finally {
        await remove(session);
      }
    });
  }

  /** Ends a session, even while another request appends to it. */
  async function cancel(name: SessionName): Promise<SessionState> {
    const session = await find(name);
    const { id, size } = session;
    await remove(session);
    return { id, size };
  }

  async function add(session: Session, part: SessionPart): Promise<void> {
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
    const file = await files.openBytes(session.id);
    try {
      const came = await write(session, file, part);
      if (length !== undefined && came !== length) throw wrongSize(length, came);
    } catch (error) {
      // What was refused as a whole must not be half there.
      if (error instanceof EntrepotError && REFUSED.has(error.code)) await truncate(session, file, start);
      throw error;
    } finally {
      await touch(session, file);
    }
  }

  /** @returns how many bytes came. */
  async function write(session: Session, file: FileHandle, { body, maxBytes, signal }: SessionPart): Promise<number> {
    let came = 0;
    try {
      for await (const bytes of body) {
        if (session.size + bytes.length > maxBytes) throw tooLarge(maxBytes);
        await writeOne(session, file, bytes);
        came += bytes.length;
      }
    } catch (error) {
      throw asBrokeOff(error);
    }
    if (signal.aborted) throw brokeOff();
    return came;
  }

  async function writeOne(session: Session, file: FileHandle, bytes: Buffer): Promise<void> {
    if (session.gone) throw unknownSession(session.id);
    if (used + bytes.length > maxUsed) throw diskFull();
    used += bytes.length;
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
      used -= bytes.length - done;
      if (session.gone) used -= done;
      else session.size += done;
    }
    if (session.gone) throw unknownSession(session.id);
  }

  async function truncate(session: Session, file: FileHandle, size: number): Promise<void> {
    if (session.gone) return;
    await file.truncate(size);
    used -= session.size - size;
    session.size = size;
    session.hash = undefined;
  }

  async function touch(session: Session, file: FileHandle): Promise<void> {
    session.touchedAt = clock.now();
    await file.utimes(session.touchedAt / 1000, session.touchedAt / 1000).catch(() => {});
    await file.close();
  }

  async function find({ repository, scope, id }: SessionName): Promise<Session> {
    const session = isSessionId(id) ? await load(id) : undefined;
    if (session !== undefined && !session.busy) await lookAgain(session);
    if (session === undefined || session.gone) throw unknownSession(id);
    if (session.repository !== repository || session.scope !== scope) throw unknownSession(id);
    if (!isExpired(session.touchedAt) || session.busy) return session;
    await remove(session);
    throw unknownSession(id);
  }

  /** Takes over what another process has done to a session: the folder may be one of several processes. */
  async function lookAgain(session: Session): Promise<void> {
    const found = await files.read(session.id);
    if (session.busy || session.gone) return;
    if (found === undefined) {
      session.gone = true;
      open.delete(session);
      sessions.delete(session.id);
      peers?.drop(session.id);
      used -= session.size;
      return;
    }
    if (found.size === session.size) return;
    used += found.size - session.size;
    session.size = found.size;
    session.touchedAt = found.touchedAt;
    // Bytes that this process has not seen.
    session.hash = undefined;
  }

  /** Once for all who ask meanwhile: two copies of one session would not see each other. */
  function load(id: string): Promise<Session | undefined> {
    const known = sessions.get(id);
    if (known !== undefined) return known;
    const loading = read(id).then((session) => {
      if (session === undefined) sessions.delete(id);
      return session;
    });
    sessions.set(id, loading);
    return loading;
  }

  async function read(id: string): Promise<Session | undefined> {
    const found = await files.read(id);
    if (found === undefined) return undefined;
    used += found.size;
    const hash = found.size === 0 ? createHash('sha256') : undefined;
    const session: Session = { ...found, id, hash, busy: false, gone: false };
    open.add(session);
    await peers?.hold(id);
    return session;
  }

  async function remove(session: Session): Promise<void> {
    if (session.gone) return;
    session.gone = true;
    open.delete(session);
    used -= session.size;
    sessions.delete(session.id);
    peers?.drop(session.id);
    await files.remove(session.id);
  }

  /** Removes what was left alone for too long, in memory and in the folder. */
  async function sweep(): Promise<void> {
    sweptAt = clock.now();
    for (const loading of sessions.values()) {
      const session = await loading;
      if (session !== undefined && !session.busy && isExpired(session.touchedAt)) await remove(session);
    }
    for (const id of await files.ids()) {
      if (sessions.has(id)) continue;
      const touchedAt = await files.touchedAt(id);
      if (touchedAt !== undefined && isExpired(touchedAt)) await files.remove(id);
    }
  }

  function isExpired(touchedAt: number): boolean {
    return clock.now() - touchedAt > maxAge;
  }
}
