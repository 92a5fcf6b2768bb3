import { availableParallelism } from 'node:os';
import { EntrepotError } from '@entrepot/core';
import { WorkerPool } from '@entrepot/core/formats';
import type { PasswordTask } from './password-worker.js';

/** Checks at a time: each takes a whole core, and requests have to be answered beside them. */
export const PASSWORD_WORKERS = Math.max(1, Math.min(2, availableParallelism() - 1));
/** The most waiting checks. More are refused, since passwords are being guessed. */
const MAX_WAITING = 64;
/** Idle time after which a worker is ended, since it holds ten megabytes. Milliseconds. */
const KEEP_IDLE = 30_000;
// A worker runs what was built; Node 22.18 and newer run the sources as well.
const PROGRAM = new URL(`./password-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

interface Waiting {
  readonly task: PasswordTask;
  resolve(isRight: boolean): void;
  reject(error: unknown): void;
}

/**
 * Threads that check passwords, so that no request waits for the hashing of others. Names take turns: guesses at one
 * name delay other names by one turn at most.
 */
export class PasswordPool {
  readonly #threads = new WorkerPool<PasswordTask, boolean>(PROGRAM, {
    most: PASSWORD_WORKERS,
    keepIdle: KEEP_IDLE,
  });
  /** By name, in the order of their turns. */
  readonly #queues = new Map<string, Waiting[]>();
  #waiting = 0;

  /**
   * Whether a password is the right one.
   * @param name whose it would be
   * @throws EntrepotError `unauthorized` with status 429 when too many are being checked
   */
  async check(name: string, task: PasswordTask): Promise<boolean> {
    return await new Promise((resolve, reject) => {
      this.#enqueue(name, { task, resolve, reject });
      this.#next();
    });
  }

  #enqueue(name: string, waiting: Waiting): void {
    const queue = this.#queues.get(name) ?? [];
    if (this.#waiting >= MAX_WAITING && !this.#makeRoomFor(queue)) {
      waiting.reject(tooMany());
      return;
    }
    queue.push(waiting);
    this.#queues.set(name, queue);
    this.#waiting += 1;
  }

  /** Refuses one of the name that has most, unless that is the one that wants more. */
  #makeRoomFor(queue: readonly Waiting[]): boolean {
    let longest: Waiting[] = [];
    for (const other of this.#queues.values()) if (other.length > longest.length) longest = other;
    if (longest.length <= queue.length + 1) return false;
    longest.pop()?.reject(tooMany());
    this.#waiting -= 1;
    return true;
  }

  #next(): void {
    while (this.#waiting > 0 && this.#threads.hasRoom) {
      const [name, queue] = this.#queues.entries().next().value as [string, Waiting[]];
      const waiting = queue.shift() as Waiting;
      this.#waiting -= 1;
      this.#queues.delete(name);
      // The others of the name wait behind those of other names.
      if (queue.length > 0) this.#queues.set(name, queue);
      void this.#threads
        .run(waiting.task)
        .then(waiting.resolve, waiting.reject)
        .then(() => this.#next());
    }
  }
}

function tooMany(): EntrepotError {
  return new EntrepotError('unauthorized', 'Too many passwords are being checked; try again', {
    code: 'TOO_MANY_LOGINS',
    status: 429,
    retryAfter: 5,
  });
}
