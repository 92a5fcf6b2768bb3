import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../../api/digest.js';
import { asEntrepotError, type EntrepotError } from '../../api/errors.js';
import { diskFull } from './upload-body.js';

// <path>/
//   <id>.json     {"version":1,"repository","scope","owner","created"}
//   <id>.bytes    what has come so far; its length and its time are the session's

const VERSION = 1;
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The owner of a session, and its place. */
export interface SessionFacts {
  readonly repository: string;
  readonly scope: string;
  /** The name of the caller that began it; empty where it has none. */
  readonly owner: string;
}

/** Whether `id` is one of a session. */
export function isSessionId(id: string): boolean {
  return ID.test(id);
}

/** Keeps the files of upload sessions in one folder, which is made when it does not exist. */
export async function openSessionFiles(folder: string) {
  const bytesOf = (id: string): string => join(folder, `${id}.bytes`);
  const factsOf = (id: string): string => join(folder, `${id}.json`);
  await mkdir(folder, { recursive: true, mode: 0o700 });

  return {
    /** The sessions in the folder. */
    async ids(): Promise<ReadonlySet<string>> {
      const names = (await readdir(folder)).map((name) => name.replace(/\.(?:json|bytes)$/, ''));
      return new Set(names.filter((name) => ID.test(name)));
    },

    async create(id: string, { repository, scope, owner }: SessionFacts, now: number): Promise<void> {
      await writeFile(bytesOf(id), '', { flag: 'wx', mode: 0o600 });
      await utimes(bytesOf(id), now / 1000, now / 1000);
      // Last: without it there is no session.
      const facts = { version: VERSION, repository, scope, owner, created: new Date(now).toISOString() };
      await writeFile(factsOf(id), JSON.stringify(facts), { flag: 'wx', mode: 0o600 });
    },

    /** Reads what is known of a session. `undefined`: it is none; its files go when they are old. */
    async read(
      id: string,
    ): Promise<(SessionFacts & { readonly size: number; readonly touchedAt: number }) | undefined> {
      try {
        const { size, mtimeMs: touchedAt } = await stat(bytesOf(id));
        const facts = JSON.parse(await readFile(factsOf(id), 'utf8')) as Record<string, unknown>;
        const { version, repository, scope, owner = '' } = facts;
        if (version !== VERSION || typeof repository !== 'string' || typeof scope !== 'string') return undefined;
        return { repository, scope, owner: String(owner), size, touchedAt };
      } catch {
        return undefined;
      }
    },

    /** When the files of a session were last written; milliseconds since the epoch. */
    async touchedAt(id: string): Promise<number | undefined> {
      const found = await stat(bytesOf(id)).catch(() => stat(factsOf(id)).catch(() => undefined));
      return found?.mtimeMs;
    },

    async openBytes(id: string): Promise<FileHandle> {
      try {
        return await open(bytesOf(id), 'r+');
      } catch (error) {
        throw sessionStorageError(error);
      }
    },

    /**
     * Moves the bytes to `path`.
     * @param digest absent: they are read for it
     */
    async move(id: string, path: string, digest: Digest | undefined): Promise<Digest> {
      await rename(bytesOf(id), path);
      return digest ?? (await digestOfFile(path));
    },

    async remove(id: string): Promise<void> {
      await rm(factsOf(id), { force: true });
      await rm(bytesOf(id), { force: true });
    },
  };
}

async function digestOfFile(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: 256 * 1024 })) hash.update(bytes as Buffer);
  return `sha256:${hash.digest('hex')}`;
}

/** The error for an unfinished upload that cannot be written. */
export function sessionStorageError(error: unknown): EntrepotError {
  if (NO_ROOM.has((error as NodeJS.ErrnoException).code ?? '')) return diskFull();
  return asEntrepotError(error, 'storage', 'An unfinished upload could not be written');
}
