import { createHash } from 'node:crypto';

const SCHEME = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\//;
/** `registry/name:tag@digest`, as in the distribution specification. */
const OCI =
  /^((?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?)\/[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/;

/** Gives the name of a chart's archive. */
export function chartFileName(name: string, version: string): string {
  return `${name}-${version}.tgz`;
}

/**
 * Writes a path below the folder of the index as a relative URL: every other byte escaped, so that it has no query. `+` stays
 * as it is, as helm and ChartMuseum write it.
 * @param path segments, not escaped
 */
export function relativeUrl(path: readonly string[]): string {
  return path.map((segment) => encodeURIComponent(segment).replaceAll('%2B', '+')).join('/');
}

/** Writes a tenant, segments with `/` between them, as a part of a URL. */
export function encodedTenant(tenant: string): string {
  return relativeUrl(tenant.split('/'));
}

/**
 * Resolves a URL of an index.
 * @param reference as the index has it: absolute, or relative to the index
 * @param indexUrl of the index itself: `https://charts.example.com/stable/index.yaml`
 * @param version of the chart: the tag of an `oci://` URL that has none
 * @returns an http URL without a fragment, which may hold a signature in its query: a secret; or `oci://registry/name:tag`,
 * or `oci://registry/name@sha256:…`. `undefined` for what cannot be fetched
 */
export function locateChart(reference: string, indexUrl: string, version: string): string | undefined {
  // A URL parser silently drops control characters, and takes a backslash for a slash.
  // oxlint-disable-next-line no-control-regex -- they are what is refused
  if (reference.trim() === '' || /[\u0000-\u001f\u007f]/.test(reference)) return undefined;
  const text = reference.trim().replaceAll('\\', '%5C');
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  if (scheme === 'oci') return locateImage(text.slice('oci://'.length), version);
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') return undefined;
  // `nginx-1.0.0:amd64.tgz` is the name of a file, no URL with a scheme.
  const target = scheme === undefined && !text.startsWith('/') ? `./${text}` : text;
  if (!URL.canParse(target, indexUrl)) return undefined;
  const base = new URL(indexUrl);
  const url = new URL(target, base);
  // As helm does it: the query of the repository (a token, say) holds for relative URLs.
  if (scheme === undefined && !text.startsWith('//') && url.search === '') url.search = base.search;
  url.hash = '';
  return url.href;
}

/** Gives the URL of an archive's provenance: `.prov` after the path; a query stays. */
export function provenanceUrl(url: string): string {
  const parsed = new URL(url);
  parsed.pathname += '.prov';
  return parsed.href;
}

/**
 * Gives each version of an index a path of its own: `charts/<name>-<version>.tgz`, or, where another version has that
 * already, `charts/<suffix>/<name>-<version>.tgz`. The suffix depends on nothing but the version itself; a version that is listed
 * under several names has one path.
 */
export class ChartPaths {
  /** Identities of versions, by path. */
  readonly #taken = new Map<string, string>();

  /** @param identity tells the version from others of its name: its digest, or its URLs */
  assign(name: string, version: string, identity: string): readonly string[] | undefined {
    const file = chartFileName(name, version);
    const suffix = createHash('sha256')
      .update(JSON.stringify([name, version, identity]))
      .digest('hex')
      .slice(0, 12);
    const paths = [
      ['charts', file],
      ['charts', suffix, file],
    ];
    const free = paths.find((path) => (this.#taken.get(path.join('/')) ?? suffix) === suffix);
    if (free !== undefined) this.#taken.set(free.join('/'), suffix);
    return free;
  }
}

function locateImage(text: string, version: string): string | undefined {
  const [, name, tag, digest] = OCI.exec(text) ?? [];
  if (name === undefined) return undefined;
  // A tag has no `+`; helm pushes and pulls with `_` in its place.
  return `oci://${name}${digest === undefined ? `:${tag ?? version.replaceAll('+', '_')}` : `@${digest}`}`;
}
