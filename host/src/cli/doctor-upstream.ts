import { EntrepotError, printableUrl } from '@entrepot/core';
import { printDuration } from '@entrepot/core/formats';
import type { LoadedConfig } from '../config/load.js';
import { authorizationHeader, repositoryConfig, type RepositoryConfig } from '../config/schema.js';
import { openTransport } from '../drivers/upstream/open-transport.js';
import { ownAddresses } from '../repositories/own-addresses.js';
import { finding, type Finding } from './finding.js';

const TIMEOUT = 10_000;

/** A clock that is wrong by more breaks ages and dates of what is served, and soon TLS. */
const SKEW_TO_NOTICE = 60_000;
const SKEW_TO_FAIL = 3_600_000;

/** Whether an upstream answers, asked in the way the server asks it, and whether its clock and ours agree. */
export async function checkUpstream(
  repository: string,
  { url, source }: { readonly url: string; readonly source: string },
  { config }: LoadedConfig,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Finding[]> {
  const check = `upstream of ${repository}`;
  const shown = `${printableUrl(url)} (${source})`;
  // A repository of the built-in default is in no file.
  const settings = config.repositories?.[repository] ?? repositoryConfig({ type: 'any' });
  if (ownAddresses(config)(url)) {
    const advice = 'another of its repositories, or a loop; set the URL of another server';
    return [finding('warn', check, `${shown} is this server itself: ${advice}`)];
  }
  const transport = openTransport(settings.transport, env);
  try {
    const begun = Date.now();
    const { status, headers, body } = await transport.send({
      // Some servers have no HEAD; the body is not read.
      method: 'GET',
      url: new URL(url),
      headers: requestHeaders(url, settings),
      allowPrivate: true,
      signal: AbortSignal.timeout(TIMEOUT),
    });
    body.destroy();
    const ended = Date.now();
    const answer = `${shown} answered ${status} in ${printDuration(ended - begun)}`;
    return [answerFinding(check, answer, status), ...clockFindings(repository, headers['date'], begun, ended)];
  } catch (error) {
    // The transport's errors hold no secret; others might.
    const reason = error instanceof EntrepotError ? (error as EntrepotError).message : (error as Error).name;
    return [finding('fail', check, `${reason} (${source})`)];
  } finally {
    await transport.dispose();
  }
}

function requestHeaders(url: string, { upstreams, auth, transport }: RepositoryConfig): Record<string, string> {
  const credentials = upstreams?.find((upstream) => upstream.url === url)?.auth ?? auth;
  return {
    'user-agent': transport.userAgent,
    ...(credentials !== undefined && { authorization: authorizationHeader(credentials) }),
  };
}

function answerFinding(check: string, answer: string, status: number): Finding {
  if (status >= 500 || status === 429) return finding('warn', check, `${answer}: it is failing now, try again later`);
  if (status === 401 || status === 407)
    return finding('warn', check, `${answer}: it needs credentials, set auth of the repository`);
  // The root of many registries is 403 or 404 although what is below it is served.
  return finding('ok', check, answer);
}

function clockFindings(repository: string, date: unknown, begun: number, ended: number): Finding[] {
  const theirs = typeof date === 'string' ? Date.parse(date) : NaN;
  if (Number.isNaN(theirs)) return [];
  // `Date` has whole seconds, and was written somewhere between question and answer.
  const skew = theirs < begun ? Math.max(0, begun - theirs - 1000) : Math.max(0, theirs - ended);
  const check = `clock against ${repository}`;
  if (skew <= SKEW_TO_NOTICE) return [finding('ok', check, 'in step')];
  const direction = theirs < begun ? 'ahead of' : 'behind';
  const detail = `this machine is ${printDuration(Math.round(skew / 1000) * 1000)} ${direction} the upstream; synchronise it (NTP)`;
  return [finding(skew > SKEW_TO_FAIL ? 'fail' : 'warn', check, detail)];
}
