interface Waiting<Member, Result> {
  readonly member: Member;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/**
 * Commits what is ready together at once: while one group is being committed, the next one gathers. A group that fails is
 * committed member by member, so that each fails for itself alone.
 */
export class GroupCommit<Member, Result> {
  readonly #commit: (members: readonly Member[]) => Promise<readonly Result[]>;
  readonly #most: number;
  #waiting: Waiting<Member, Result>[] = [];
  #committing = false;

  /**
   * @param most members of one group
   * @param commit all of the members or none; gives a result for each, in their order
   */
  constructor(most: number, commit: (members: readonly Member[]) => Promise<readonly Result[]>) {
    this.#most = most;
    this.#commit = commit;
  }

  /** Settles when `member` is committed. */
  add(member: Member): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ member, resolve, reject });
      if (!this.#committing) void this.#commitAll();
    });
  }

  async #commitAll(): Promise<void> {
    this.#committing = true;
    while (this.#waiting.length > 0) await this.#commitGroup(this.#waiting.splice(0, this.#most));
    this.#committing = false;
  }

  async #commitGroup(group: readonly Waiting<Member, Result>[]): Promise<void> {
    try {
      const results = await this.#commit(group.map(({ member }) => member));
      group.forEach(({ resolve }, at) => resolve(results[at] as Result));
    } catch (error) {
      if (group.length === 1) group[0]?.reject(error);
      else await Promise.all(group.map((one) => this.#commitGroup([one])));
    }
  }
}
