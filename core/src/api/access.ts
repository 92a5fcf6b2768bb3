/** The right to read or to change a repository. `write` is any change to a hosted repository, deletes included. */
export type Right = 'read' | 'write';

/** The right that a request needs. */
export interface AccessNeed {
  readonly right: Right;
  /**
   * The name within the repository, as `accessName` of the resource gives it: an image name, a tenant. Absent: the
   * repository as a whole.
   */
  readonly name?: string | undefined;
  /** Whether a grant for any name suffices. */
  readonly anyName?: boolean | undefined;
  /** Whether a user of this machine sent the request. Only set for changes. */
  readonly isLocal?: boolean | undefined;
}

/** The sender of a request, with their rights in this repository. */
export interface Caller {
  /** The name of the user, or the subject of the token, for logs and audits. Absent for unauthenticated callers. */
  readonly name?: string | undefined;
  may(need: AccessNeed): boolean;
  /**
   * Whether the caller has the right with another token: theirs was issued for something else. They are then asked for
   * new credentials (401 `insufficient_scope`, RFC 6750 §3.1) instead of refused (403). Absent: never.
   */
  mayWithNewToken?(need: AccessNeed): boolean;
}

/**
 * Authenticates and authorises the callers of one repository. Errors and results never hold a secret. The
 * implementation caches answers that cost more than a hash, within bounds.
 */
export interface Access {
  /** Whether credentials make a difference. `false`: `authenticate` identifies nobody. */
  readonly knowsCallers: boolean;
  /** Whether unauthenticated callers have the right. Must cost nothing: it is called for every request. */
  isOpen(need: AccessNeed): boolean;
  /**
   * Authenticates a caller.
   * @param authorization the request's `Authorization` header; absent for an unauthenticated caller
   * @throws EntrepotError `unauthorized` for credentials that are wrong, expired or of an unsupported scheme
   */
  authenticate(authorization: string | undefined): Promise<Caller>;
  /** The `WWW-Authenticate` value for a caller without `need`, unless the protocol gives another. */
  challenge(need: AccessNeed): string;
}

/** Grants `rights` to all callers, and ignores credentials. */
export function anonymousAccess(rights: readonly Right[]): Access {
  const caller: Caller = { may: ({ right }) => rights.includes(right) };
  return {
    knowsCallers: false,
    isOpen: ({ right }) => rights.includes(right),
    authenticate: async () => caller,
    challenge: () => 'Basic realm="Entrepot", charset="UTF-8"',
  };
}
