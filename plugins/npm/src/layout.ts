/** The place of a member of an object in the bytes of a document: from the quote of its key to the end of its value. */
export interface Place {
  readonly key: string;
  readonly start: number;
  readonly valueStart: number;
  readonly end: number;
}

/** The place of a member of the packument itself. */
export interface RootPlace extends Omit<Place, 'end'> {
  /** Absent while its value is still arriving. */
  end?: number | undefined;
}

/** The place of a version. */
export interface VersionPlace extends Place {
  /** URLs that lead to the upstream, in the order of the bytes. */
  readonly urls: readonly UrlPlace[];
  /** The members of the abbreviated form, as runs of neighbours: start and end, in pairs. */
  readonly abbreviated: readonly number[];
  /** Whether the abbreviated form has to say `hasInstallScript`, which the version does not. */
  readonly addsInstallScript: boolean;
}

/** The place of the URL of a tarball, or of the attestations of a version. */
export interface UrlPlace {
  readonly kind: 'tarball' | 'attestations';
  readonly start: number;
  readonly end: number;
}

/**
 * The places in a packument that its representations differ by. It grows while the packument is read, so that one can be written
 * while it arrives.
 */
export class Layout {
  readonly members: RootPlace[] = [];
  readonly versions: VersionPlace[] = [];
  readonly times: Place[] = [];
  /** The dist-tags that are text, as the upstream has them. */
  readonly tags = new Map<string, string>();
  /** `modified` of `time`. */
  modified: unknown;
  /** Whether all of it was read. */
  isWhole = false;
  #failure: unknown;
  #next = Promise.withResolvers<void>();

  /** Numbers that it holds, about. */
  get size(): number {
    return this.versions.length * 24 + this.times.length * 4;
  }

  /** Tells those who write meanwhile that there is more. */
  advance(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }

  /** Ends it. @param failure where that is in the middle: those who write meanwhile fail, too */
  close(failure?: unknown): void {
    this.#failure = failure;
    this.isWhole = true;
    this.advance();
  }

  /** Resolves when all of it was read. */
  async whole(): Promise<void> {
    while (!this.isWhole) await this.more();
  }

  /** Resolves when there is more, or all. */
  async more(): Promise<void> {
    if (!this.isWhole) await this.#next.promise;
    if (this.#failure !== undefined) throw this.#failure;
  }
}
