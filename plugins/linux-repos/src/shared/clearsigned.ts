import { malformed } from '@entrepot/core/formats';

const BEGIN = '-----BEGIN PGP SIGNED MESSAGE-----';
const SIGNATURE = '-----BEGIN PGP SIGNATURE-----';
const END = '-----END PGP SIGNATURE-----';

/** Whether `text` may be a clear-signed message. */
export function isClearsigned(text: string): boolean {
  return text.startsWith(BEGIN);
}

/**
 * Reads the text of a clear-signed message (RFC 9580 §7), which must be all that there is: what stands before, between or behind the
 * signed block is read by some tools and not by others, and nobody has signed it.
 * @throws EntrepotError `upstream-unavailable` for anything else, such as the page of a captive portal
 */
export function cleartextOf(text: string, name: string): string {
  const lines = text.replaceAll('\r\n', '\n').trimEnd().split('\n');
  const fail = (problem: string) => malformed(name, problem);
  if (lines[0] !== BEGIN) throw fail(`expected it to begin with ${BEGIN}`);
  if (lines.at(-1) !== END) throw fail(`expected it to end with ${END}`);
  const start = lines.indexOf('', 1) + 1;
  const headers = lines.slice(1, start - 1);
  if (start === 0 || headers.some((line) => !/^Hash: [\w, -]+$/.test(line)))
    throw fail('expected nothing but Hash headers before the signed text');
  const end = lines.indexOf(SIGNATURE, start);
  if (end === -1) throw fail('the signature is missing');
  const marks = lines.filter((line) => line.startsWith('-----'));
  if (marks.length !== 3) throw fail('expected one signed block and one signature');
  return lines
    .slice(start, end)
    .map((line) => (line.startsWith('- ') ? line.slice(2) : line))
    .join('\n');
}

/** Reads bytes as text. Those that are not UTF-8 are replaced: all that is read of pointer documents is ASCII. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8').decode(bytes);
}
