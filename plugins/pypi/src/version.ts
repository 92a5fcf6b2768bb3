/** A version as PEP 440 reads it, with the spellings that it takes for the same (PEP 440, Appendix B). */
const VERSION =
  /^v?(?:(?<epoch>\d+)!)?(?<release>\d+(?:\.\d+)*)(?:[-_.]?(?<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?<preNumber>\d*))?(?:-(?<implicitPost>\d+)|[-_.]?(?<post>post|rev|r)[-_.]?(?<postNumber>\d*))?(?:[-_.]?(?<dev>dev)[-_.]?(?<devNumber>\d*))?(?:\+(?<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?$/;

const PRE: Readonly<Record<string, string>> = { alpha: 'a', beta: 'b', c: 'rc', pre: 'rc', preview: 'rc' };
/** No version is longer; the expression above never sees more. */
const LONGEST = 128;

/** `text` in the normal form of PEP 440; as it is when it is no such version. */
export function normaliseVersion(text: string): string {
  const lower = text.trim().toLowerCase();
  const found = lower.length > LONGEST ? undefined : VERSION.exec(lower)?.groups;
  if (found === undefined) return text;
  const { epoch, release = '', pre, preNumber, implicitPost, post, postNumber, dev, devNumber, local } = found;
  let normal = epoch === undefined || Number(epoch) === 0 ? '' : `${number(epoch)}!`;
  normal += release.split('.').map(number).join('.');
  if (pre !== undefined) normal += `${PRE[pre] ?? pre}${number(preNumber)}`;
  if (implicitPost !== undefined) normal += `.post${number(implicitPost)}`;
  else if (post !== undefined) normal += `.post${number(postNumber)}`;
  if (dev !== undefined) normal += `.dev${number(devNumber)}`;
  if (local !== undefined) normal += `+${local.split(/[-_.]/).map(localPart).join('.')}`;
  return normal;
}

/** The same text for versions that are equal by PEP 440: `1.0` and `1.0.0` are. */
export function versionIdentity(text: string): string {
  if (text.length > LONGEST) return text;
  return normaliseVersion(text).replace(/^((?:\d+!)?\d+(?:\.\d+)*?)(?:\.0)+(?=$|[^.\d]|\.[a-z])/, '$1');
}

function number(digits: string | undefined): string {
  return digits?.replace(/^0+(?=\d)/, '') || '0';
}

function localPart(part: string): string {
  return /^\d+$/.test(part) ? number(part) : part;
}
