import { readFile, stat } from 'node:fs/promises';
import { EntrepotError, type Clock, type Logger } from '@entrepot/core';
import { unreadable } from '../config/files.js';
import { passwordHashProblem } from '../config/password-hash-form.js';

/** The time between two looks at the file, in milliseconds. */
const LOOK_INTERVAL = 1_000;
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/**
 * The users of an htpasswd file: a name, `:` and a bcrypt hash a line, as `htpasswd -B` writes it.
 * @throws EntrepotError `configuration` for anything else, naming the line and quoting nothing of it
 */
export function parseHtpasswd(text: string): Map<string, string> {
  const users = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const hash = line.slice(colon + 1).trim();
    const problem = colon < 1 ? 'expected name:hash' : passwordHashProblem(hash);
    if (problem !== undefined) throw new EntrepotError('configuration', `line ${index + 1}: ${problem}`);
    users.set(line.slice(0, colon), hash);
  }
  return users;
}

/** An htpasswd file that is read again when it has changed. */
export class HtpasswdFile {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #users: ReadonlyMap<string, string> = new Map();
  #version = '';
  #lookedAt = 0;

  private constructor(path: string, clock: Clock, logger: Logger) {
    this.#path = path;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** @throws EntrepotError `configuration` when it cannot be read or used */
  static async open(path: string, clock: Clock, logger: Logger): Promise<HtpasswdFile> {
    const file = new HtpasswdFile(path, clock, logger);
    await file.#read(await file.#look());
    return file;
  }

  get users(): ReadonlyMap<string, string> {
    return this.#users;
  }

  /**
   * Reads the file when it has changed. One that cannot be used changes nothing and is logged.
   * @returns whether the users are others now
   */
  async refresh(): Promise<boolean> {
    const now = this.#clock.monotonic();
    if (now - this.#lookedAt < LOOK_INTERVAL) return false;
    this.#lookedAt = now;
    try {
      const version = await this.#look();
      if (version === this.#version) return false;
      // Also when it turns out to be of no use: it is not tried again before it changes.
      this.#version = version;
      await this.#read(version);
      return true;
    } catch (error) {
      this.#logger.error({ err: error, file: this.#path }, 'htpasswd file cannot be used; the users stay as they were');
      return false;
    }
  }

  async #look(): Promise<string> {
    const found = await stat(this.#path).catch((error: unknown) => {
      throw unreadable(this.#path, error);
    });
    if (!found.isFile() || found.size > MAX_FILE_BYTES)
      throw new EntrepotError('configuration', `${this.#path} is no file of at most 4 MiB`);
    return `${found.ino} ${found.size} ${found.mtimeMs}`;
  }

  async #read(version: string): Promise<void> {
    const text = await readFile(this.#path, 'utf8').catch((error: unknown) => {
      throw unreadable(this.#path, error);
    });
    this.#users = parseHtpasswd(text);
    this.#version = version;
    this.#lookedAt = this.#clock.monotonic();
  }
}
