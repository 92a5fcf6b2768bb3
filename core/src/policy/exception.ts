/** An approved, temporary exception from rules. */
export interface PolicyException {
  readonly id: string;
  readonly scope: ExceptionScope;
  /** The ids of the rules that it applies to. Absent: all. */
  readonly rules?: readonly string[] | undefined;
  /** Advisories by any of their names: only findings of these groups are left out. Absent: the rules do not fire at all. */
  readonly advisories?: readonly string[] | undefined;
  /** The approvers; two different ones where a rule needs two. */
  readonly approvedBy: readonly string[];
  /** When it expires; milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Whether it is in force until it expires. */
  readonly active: boolean;
}

/** The subjects of an exception. All keys must match, each by any of its entries. Absent: any. */
export interface ExceptionScope {
  /** Names, with `*` for any characters. */
  readonly repositories?: readonly string[] | undefined;
  /** Package URLs, with `*` for any characters. */
  readonly purl?: readonly string[] | undefined;
  /** As in `RuleMatch`. */
  readonly versions?: readonly string[] | undefined;
}
