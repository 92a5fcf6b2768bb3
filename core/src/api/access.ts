/** What somebody wants to do in a repository. `write` is any change to a hosted repository, deletes included. */
export type Right = 'read' | 'write';

/** What a request needs. */
export interface AccessNeed {
  readonly right: Right;
  /**
   * The name within the repository that it is about, as `accessName` of the resource says: an image name, a tenant.
   * Absent: the repository as a whole.
   */
  readonly name?: string | undefined;
  /** Whether a grant for any name will do. */
  readonly anyName?: boolean | undefined;
  /** Whether a user of this machine sent the request. Only said of changes. */
  readonly isLocal?: boolean | undefined;
}

/** Who sent a request, and what they may do in this repository. */
export interface Caller {
  /** The name of the user, or the subject of the token; absent for somebody who did not say. For logs and audits. */
  readonly name?: string | undefined;
  may(need: AccessNeed): boolean;
  /**
   * Whether other credentials of the same caller would let them: these are a token that was made for something else. They are
   * then asked for those, instead of being told that they may not. Absent: there are none.
   */
  mightYet?(need: AccessNeed): boolean;
}

/**
 * Who may do what in one repository: the pipeline's authenticate step. A secret is never in what it throws or returns.
 * Answers that cost more than a hash are memoised by the implementation, within bounds.
 */
export interface Access {
  /** Whether saying who one is gives anything here. `false`: `authenticate` knows nobody. */
  readonly knowsCallers: boolean;
  /** Whether everybody may, so that nobody has to say who they are. Must cost nothing: it is asked on every request. */
  isOpen(need: AccessNeed): boolean;
  /**
   * Who sent these credentials.
   * @param authorization the request's `Authorization` header; absent: a caller without a name
   * @throws EntrepotError `unauthorized` when they are wrong, expired, or of a form that is not taken here
   */
  authenticate(authorization: string | undefined): Promise<Caller>;
  /** The `WWW-Authenticate` value for a caller who lacks `need`, where the protocol says nothing else. */
  challenge(need: AccessNeed): string;
}

/** Access for repositories in which nobody has to say who they are, and saying so gives nothing. */
export function anonymousAccess(rights: readonly Right[]): Access {
  const caller: Caller = { may: ({ right }) => rights.includes(right) };
  return {
    knowsCallers: false,
    isOpen: ({ right }) => rights.includes(right),
    authenticate: async () => caller,
    challenge: () => 'Basic realm="Entrepot", charset="UTF-8"',
  };
}
