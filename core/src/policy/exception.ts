/** Somebody answers for it that rules do not apply to something, until a certain day. */
export interface PolicyException {
  readonly id: string;
  readonly scope: ExceptionScope;
  /** The ids of the rules that it is for. Absent: all. */
  readonly rules?: readonly string[] | undefined;
  /** Advisories by any of their names: only findings of these groups are left out. Absent: the rules do not fire at all. */
  readonly advisories?: readonly string[] | undefined;
  /** Who approved it; two different ones where a rule asks for two. */
  readonly approvedBy: readonly string[];
  /** Not in force from this instant on; milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Whether it is in force until then. */
  readonly active: boolean;
}

/** What an exception is for: all of these at once, any entry of each. Absent: any. */
export interface ExceptionScope {
  /** Names, with `*` for any characters. */
  readonly repositories?: readonly string[] | undefined;
  /** Package URLs, with `*` for any characters. */
  readonly purl?: readonly string[] | undefined;
  /** As in `RuleMatch`. */
  readonly versions?: readonly string[] | undefined;
}
