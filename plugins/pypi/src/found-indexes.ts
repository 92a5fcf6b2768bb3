/** The sources of clients' settings. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string | undefined;
  readonly platform: NodeJS.Platform;
  /** The root of settings for the whole machine: `/`. */
  readonly root: string;
}

/** An index that a client is set up with. */
export interface FoundIndex {
  /** As it is written, with credentials if it has any. */
  readonly url: string;
  /** Its source, for people. */
  readonly source: string;
}

/** The indexes of one client. */
export interface FoundIndexes {
  /** The main one. */
  readonly main?: FoundIndex | undefined;
  /** Those that are asked besides it. */
  readonly extra: readonly FoundIndex[];
}
