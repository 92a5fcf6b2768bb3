/**
 * Small facts that are cheap to lose: negative answers, replies of audit endpoints. Never an entry, a lock or a verdict.
 * A driver whose backend is down answers `undefined` and forgets what it is given; it never throws.
 */
export interface HotCache {
  /**
   * The part that other processes over the same store have, too, without the memory of this one. What is purged is not found there
   * any more. Absent: nothing is shared.
   */
  readonly shared?: HotCache | undefined;
  /** The value under `key`, or `undefined` when there is none, it is too old, or the backend is down. */
  get(key: string): Promise<string | undefined>;
  /** Keeps `value` for `ttl` milliseconds. */
  set(key: string, value: string, ttl: number): Promise<void>;
  /** Forgets `key`; no error when it is not there. */
  delete(key: string): Promise<void>;
  dispose(): Promise<void>;
}
