import { isIP } from 'node:net';
import { EntrepotError, printableUrl } from '../../api/errors.js';

/** Endings below which everybody can register a name: there the last three labels say whose a host is. */
const SHARED_ENDING = /^(?:ac|co|com|edu|go|gov|ne|net|or|org)\.[a-z]{2}$/;

/**
 * The realm of a challenge, when a token may be asked for there: that is where the upstream's credentials go. It is of the
 * upstream's own site (`auth.docker.io` for `registry-1.docker.io`), or a host that the operator named.
 * @throws EntrepotError `forbidden` when it is not
 */
export function requireTrustedRealm(realm: string, upstream: URL, trustedRealms: readonly string[]): URL {
  const url = URL.canParse(realm, upstream.href) ? new URL(realm, upstream.href) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw untrusted(`${printableUrl(upstream)} leads to a realm that is not an http URL`);
  }
  if (upstream.protocol === 'https:' && url.protocol === 'http:') {
    throw untrusted(`${printableUrl(upstream)} leads to the plain http realm ${printableUrl(url)}`);
  }
  if (trustedRealms.includes(url.host) || trustedRealms.includes(url.hostname)) return url;
  if (siteOf(url.hostname) === siteOf(upstream.hostname)) return url;
  throw untrusted(
    `${printableUrl(upstream)} leads to the realm ${url.host}, which is of another site; ` +
      'if it is meant to be asked, name it in trustedRealms',
  );
}

/**
 * The part of a host name that hosts of one site share. Without a list of public suffixes: an upstream that wants its
 * credentials elsewhere could as well ask for them itself, so this only has to stop what is plainly foreign.
 */
function siteOf(hostname: string): string {
  const name = hostname.replace(/\.$/, '');
  if (name.startsWith('[') || isIP(name) !== 0) return name;
  const labels = name.split('.');
  const shared = SHARED_ENDING.test(labels.slice(-2).join('.'));
  return labels.slice(shared ? -3 : -2).join('.');
}

function untrusted(message: string): EntrepotError {
  return new EntrepotError('forbidden', `${message}; refused`, { code: 'REALM_UNTRUSTED' });
}
