/** A request target, split but not decoded. */
export interface RequestTarget {
  /** Begins with `/`. */
  readonly path: string;
  /** Without `?`; empty when there is none. */
  readonly query: string;
  /** `host` or `host:port` of an absolute-form target, which outranks the `Host` header (RFC 9112 §3.2.2). */
  readonly authority?: string | undefined;
}

const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)([^]*)$/i;

/** Splits `url` as the client sent it, or `undefined` for a form that no resource has (`*`, `host:port`). */
export function parseRequestTarget(url: string): RequestTarget | undefined {
  if (url.charCodeAt(0) === 47) return splitQuery(url, undefined);
  const match = ABSOLUTE_FORM.exec(url);
  if (match === null) return undefined;
  const rest = match[2] as string;
  return splitQuery(rest.startsWith('/') ? rest : `/${rest}`, match[1]);
}

function splitQuery(target: string, authority: string | undefined): RequestTarget {
  const mark = target.indexOf('?');
  if (mark < 0) return { path: target, query: '', authority };
  return { path: target.slice(0, mark), query: target.slice(mark + 1), authority };
}
