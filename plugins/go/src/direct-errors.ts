import { EntrepotError } from '@entrepot/core';

/** Words of `go` for what it cannot find, or what is no module. */
const NOT_FOUND =
  /unknown revision|no matching versions|repository '[^']*' not found|Repository not found|404 Not Found|410 Gone|returned error: (?:404|410)|no go-import meta tags|invalid \S+ import path|missing \S*go\.mod|has non-\S* module path|has post-v\d+ module path|module declares its path as|can't use @|go\.mod:\d+/;

/** Words of git and `go` when they are not let in. */
const REFUSED =
  /terminal prompts disabled|could not read (?:Username|Password)|Authentication failed|Access denied|401 Unauthorized|403 Forbidden|returned error: 40[13]\b|told us to quit/i;

/** Words of `go` around the answer of another program or a server. */
const FROM_OUTSIDE = /exit status \d+|https? fetch|reading https?:|secure protocol found/;

/** Longer output is cut: the words that matter are at its end, and it may be of a server that wants to keep us busy. */
const LONGEST = 4096;

/** A failed run. */
export interface DirectFailure {
  readonly subject: string;
  /** The output of `go`. */
  readonly text: string;
  readonly folder: string;
  readonly secrets: readonly string[];
  /** The reason why its question for credentials was not answered. */
  readonly cause: unknown;
  /** Whether a host refused the credentials. */
  readonly rejected: boolean;
}

/** Makes the error for a run of `go` that failed. Only what does not exist is told in its own words. */
export function directError(failure: DirectFailure): EntrepotError {
  const { subject, cause, rejected } = failure;
  if (cause instanceof EntrepotError) return cause as EntrepotError;
  const text = failure.text.slice(-LONGEST);
  const detail = printable({ ...failure, text });
  const newer = /requires go >= (\S+) \(running go (\S+?);/.exec(text);
  if (newer !== null) {
    const message = `${subject} requires go ${newer[1]}, and the server has ${newer[2]}`;
    return new EntrepotError('upstream-unavailable', message, { code: 'GO_TOO_OLD' });
  }
  if (REFUSED.test(text) || (rejected && !NOT_FOUND.test(text))) {
    return new EntrepotError('forbidden', `${subject}: its repository refused the credentials of this server`, {
      code: 'REPOSITORY_REFUSED',
      cause: new Error(detail),
    });
  }
  const isOwnWord = /invalid version|malformed|invalid pseudo-version/.test(text) && !FROM_OUTSIDE.test(text);
  if (NOT_FOUND.test(text) || isOwnWord) {
    return new EntrepotError('not-found', detail.startsWith(subject) ? detail : `${subject}: ${detail}`, {
      code: 'MODULE_NOT_FOUND',
    });
  }
  return new EntrepotError('upstream-unavailable', `${subject}: its repository could not be reached or read`, {
    code: 'REPOSITORY_UNAVAILABLE',
    cause: new Error(detail),
  });
}

/** Prints one line, without places on this machine, credentials and the commands of git. */
function printable({ text, folder, secrets }: DirectFailure): string {
  let line = text;
  for (const secret of secrets) if (secret !== '') line = line.replaceAll(secret, '***');
  return line
    .replaceAll(/\/\/[^/@\s]*@/g, '//')
    .replaceAll(/git [^\n]*? in \S+: exit status \d+:\s*/g, '')
    .replaceAll(folder, '')
    .replaceAll(/[^\x20-\x7e]+/g, ' ')
    .replace(/^\s*(?:go: )?(?:module )?/, '')
    .trim()
    .slice(0, 400);
}
