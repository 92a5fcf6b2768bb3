/** Anything that is not printable ASCII: what a field value may hold without doubt (RFC 9110 §5.5). */
const UNSURE = /[^\u0020-\u007e]/;
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]+/g;

/**
 * A field value as it may be sent, whatever an upstream, a plugin or a path has put into it. Node writes header text one byte a character,
 * so that a character above U+00FF may turn into CR or LF.
 * @param name in any case
 */
export function headerText(name: string, value: string): string {
  if (!UNSURE.test(value)) return value;
  const text = decoded(value).replaceAll(CONTROLS, '');
  if (name.toLowerCase() === 'content-disposition') return contentDisposition(text);
  // As in URLs (RFC 3987 §3.1), which is what other fields have such text in: `Link`, `Location`.
  return text.replaceAll(/[^\u0020-\u007e]+/gu, percentEncoded);
}

/** Text that was sent as UTF-8 and read as ISO-8859-1 is read again; real ISO-8859-1 is hardly ever UTF-8 as well. */
function decoded(value: string): string {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.toString('latin1') !== value) return value;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return value;
  }
}

/** Gives a disposition a file name that every client reads: in ASCII, and whole (RFC 6266 §4.3, appendix D; RFC 8187 §3.2). */
function contentDisposition(text: string): string {
  const type = /^[A-Za-z]{1,32}/.exec(text)?.[0].toLowerCase() ?? 'attachment';
  const extended = /;\s?filename\*\s?=\s?([A-Za-z0-9-]{1,32}'[A-Za-z0-9-]{0,32}'[\w!#$&+.^`|~%-]{1,2048})/i.exec(
    text,
  )?.[1];
  const name = fileName(text);
  if (name === undefined && extended === undefined) return type;
  const parts = [type];
  if (name !== undefined) parts.push(`filename="${name.replaceAll(/[^\u0020-\u007e]|["\\%]/gu, '_')}"`);
  parts.push(`filename*=${extended ?? `UTF-8''${extendedValue(name as string)}`}`);
  return parts.join('; ');
}

function fileName(text: string): string | undefined {
  const quoted = /;\s?filename\s?=\s?"((?:[^"\\]|\\.){1,2048})"/i.exec(text)?.[1];
  if (quoted !== undefined) return quoted.replaceAll(/\\(.)/g, '$1');
  return /;\s?filename\s?=\s?([^";\s][^";]{0,2048})/i.exec(text)?.[1]?.trim();
}

/** `value-chars` of RFC 8187 §3.2.1. */
function extendedValue(text: string): string {
  return percentEncoded(text).replaceAll(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function percentEncoded(text: string): string {
  return encodeURIComponent(text.replaceAll(/\p{Surrogate}/gu, '\ufffd'));
}
