import { EntrepotError } from '@entrepot/core';
import type { CredentialsSocket } from './credentials-socket.js';
import { failure } from './errors.js';

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

/** Texts that are in no message. */
interface Hidden {
  readonly folder: string;
  readonly secrets: readonly string[];
}

/**
 * Makes the error for a run of `go` that failed. Only what does not exist is told in its own words.
 * @param output of `go`
 */
export function directError(
  subject: string,
  output: string,
  { failure: cause, rejected }: Pick<CredentialsSocket, 'failure' | 'rejected'>,
  hidden: Hidden,
): EntrepotError {
  if (cause instanceof EntrepotError) return cause as EntrepotError;
  const text = output.slice(-LONGEST);
  const detail = printable(text, hidden);
  const details = { cause: new Error(detail) };
  const newer = /requires go >= (\S+) \(running go (\S+?);/.exec(text);
  if (newer !== null) {
    const message = `${subject} requires go ${newer[1]}, and the server has ${newer[2]}`;
    return failure('upstream-unavailable', 'GO_TOO_OLD', message);
  }
  if (REFUSED.test(text) || (rejected && !NOT_FOUND.test(text))) {
    const message = `${subject}: its repository refused the credentials of this server`;
    return failure('forbidden', 'REPOSITORY_REFUSED', message, details);
  }
  const isOwnWord = /invalid version|malformed|invalid pseudo-version/.test(text) && !FROM_OUTSIDE.test(text);
  if (NOT_FOUND.test(text) || isOwnWord) {
    return failure('not-found', 'MODULE_NOT_FOUND', detail.startsWith(subject) ? detail : `${subject}: ${detail}`);
  }
  const message = `${subject}: its repository could not be reached or read`;
  return failure('upstream-unavailable', 'REPOSITORY_UNAVAILABLE', message, details);
}

/** Prints one line, without places on this machine, credentials and the commands of git. */
function printable(text: string, { folder, secrets }: Hidden): string {
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
