import {
  EntrepotError,
  type AdaptContext,
  type AdaptReplyContext,
  type AdaptedReply,
  type AdaptedRequest,
  type PassedReply,
  type Resource,
  type Upstream,
} from '@entrepot/core';
import { type Fields, fieldsOf, isRecord, listOf, malformed, parseBoundedJson, textOf } from '@entrepot/core/formats';
import satisfies from 'semver/functions/satisfies.js';
import { isPackageName, scopeOf } from './package-name.js';

/** The number of paths to one version that a legacy reply names: a tree can hold the same version thousands of times. */
const PATH_LIMIT = 100;
/** The depth to which a legacy tree is followed. */
const DEPTH_LIMIT = 200;
const SEVERITIES = ['info', 'low', 'moderate', 'high', 'critical'] as const;

/** One version in the tree of a legacy request. */
interface TreeNode {
  readonly name: string;
  readonly version: string;
  /** Names from the root, joined by `>`. */
  readonly path: string;
  readonly dev: boolean;
  readonly optional: boolean;
}

/**
 * The bulk request for an audit of either kind.
 * @param upstreams names of a scope that has its own upstream are private: as those that policy refuses they are left out of what the
 *   default one is asked
 * @throws EntrepotError `bad-request`
 */
export function adaptAuditRequest(
  resource: Resource,
  body: Uint8Array,
  upstreams: readonly Upstream[],
  { leaves, admits }: AdaptContext,
): AdaptedRequest {
  const request = parseBody(body);
  const versions =
    resource.key === 'legacy-audit'
      ? Array.from(nodesByName(walk(request)), ([name, nodes]) => [name, nodes.map(({ version }) => version)] as const)
      : bulkVersions(request);
  const kept = versions
    .filter(([name]) => isPackageName(name))
    .filter(([name]) => !leaves || (!isPrivate(name, upstreams) && admits({ ecosystem: 'npm', name })))
    .map(([name, found]) => [name, [...new Set(found)].sort()] as const)
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return {
    method: 'POST',
    upstreamPath: resource.path ?? '',
    mediaType: 'application/json',
    body: Buffer.from(JSON.stringify(Object.fromEntries(kept))),
  };
}

/**
 * The reply for the client: the upstream's, or for a legacy request the same in the shape of the retired routes.
 * @throws EntrepotError `upstream-unavailable` for a reply that is no audit
 */
export function adaptAuditReply(
  resource: Resource,
  reply: Pick<PassedReply, 'status' | 'body'>,
  { requestBody }: Pick<AdaptReplyContext, 'requestBody'>,
): AdaptedReply {
  if (reply.status !== 200) {
    const error = `the upstream registry answered the audit with ${reply.status}`;
    return { status: reply.status, mediaType: 'application/json', body: JSON.stringify({ error }) };
  }
  const advisories = parseObject(reply.body);
  if (advisories === undefined) throw malformed('an audit', 'it is not a JSON object');
  if (resource.key !== 'legacy-audit') {
    return { status: 200, mediaType: 'application/json', body: reply.body };
  }
  const body = legacyReply(walk(parseBody(requestBody)), advisories);
  return { status: 200, mediaType: 'application/json', body: JSON.stringify(body) };
}

function parseBody(body: Uint8Array): Fields {
  const request = parseObject(body);
  if (request === undefined) throw new EntrepotError('bad-request', 'expected a JSON object as the body of an audit');
  return request;
}

function parseObject(body: Uint8Array): Fields | undefined {
  try {
    const value: unknown = parseBoundedJson(body);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isPrivate(name: string, upstreams: readonly Upstream[]): boolean {
  const scope = scopeOf(name);
  return scope !== undefined && upstreams.some((upstream) => upstream.scope?.replace(/^@?/, '@') === scope);
}

/** The versions of each name in a bulk request. */
function bulkVersions(request: Fields): [name: string, versions: readonly string[]][] {
  return Object.entries(request).map(([name, versions]) => {
    if (Array.isArray(versions)) return [name, versions.filter((version) => typeof version === 'string')];
    throw new EntrepotError('bad-request', 'expected a list of versions for every name in the body of an audit');
  });
}

function nodesByName(nodes: readonly TreeNode[]): Map<string, TreeNode[]> {
  return Map.groupBy(nodes, ({ name }) => name);
}

/** The versions of the lockfile tree in a legacy body, without the root. */
function walk(tree: unknown, above = '', depth = 0, nodes: TreeNode[] = []): TreeNode[] {
  if (depth > DEPTH_LIMIT) return nodes;
  for (const [name, child] of Object.entries(fieldsOf(fieldsOf(tree)['dependencies']))) {
    const { version, dev, optional } = fieldsOf(child);
    const path = above === '' ? name : `${above}>${name}`;
    if (typeof version === 'string') {
      nodes.push({ name, version, path, dev: dev === true, optional: optional === true });
    }
    walk(child, path, depth + 1, nodes);
  }
  return nodes;
}

/** The reply of the routes that npm 6, old pnpm and old yarn know. Of several ways to fix things it offers none: `review`. */
function legacyReply(nodes: readonly TreeNode[], bulk: Fields): Fields {
  const byName = nodesByName(nodes);
  const advisories = new Map<string, Fields>();
  const actions = new Map<string, Fields[]>();
  const vulnerabilities = new Map<string, number>(SEVERITIES.map((severity) => [severity, 0]));
  for (const [name, listed] of Object.entries(bulk)) {
    for (const advisory of listOf(listed)) {
      const { id } = advisory;
      if (typeof id !== 'number' && typeof id !== 'string') continue;
      const range = textOf(advisory['vulnerable_versions']) ?? '*';
      const hit = (byName.get(name) ?? []).filter(({ version }) =>
        satisfies(version, range, { includePrerelease: true, loose: true }),
      );
      if (hit.length === 0) continue;
      const severity = SEVERITIES.find((level) => level === advisory['severity']) ?? 'info';
      advisories.set(String(id), legacyAdvisory(name, { ...advisory, range, severity }, hit));
      vulnerabilities.set(severity, (vulnerabilities.get(severity) ?? 0) + hit.length);
      const resolves = actions.get(name) ?? [];
      actions.set(name, resolves);
      for (const { path, dev, optional } of hit.slice(0, PATH_LIMIT)) {
        resolves.push({ id, path, dev, optional, bundled: false });
      }
    }
  }
  const dev = nodes.filter((node) => node.dev).length;
  const optional = nodes.filter((node) => node.optional && !node.dev).length;
  return {
    actions: [...actions].map(([module, resolves]) => ({ action: 'review', module, resolves })),
    advisories: Object.fromEntries(advisories),
    muted: [],
    metadata: {
      vulnerabilities: Object.fromEntries(vulnerabilities),
      dependencies: nodes.length - dev - optional,
      devDependencies: dev,
      optionalDependencies: optional,
      totalDependencies: nodes.length,
    },
  };
}

function legacyAdvisory(
  name: string,
  advisory: Fields & { readonly range: string; readonly severity: string },
  hit: readonly TreeNode[],
): Fields {
  const { id, range, severity, cwe, cvss } = advisory;
  const [title, url] = [advisory['title'], advisory['url']].map((text) => textOf(text) ?? '');
  const patched = patchedVersions(range);
  const findings = Array.from(
    Map.groupBy(hit, ({ version }) => version),
    ([version, found]) => ({ version, paths: found.slice(0, PATH_LIMIT).map(({ path }) => path) }),
  );
  return {
    id,
    findings,
    title,
    module_name: name,
    vulnerable_versions: range,
    patched_versions: patched,
    severity,
    overview: title,
    recommendation: patched === NEVER_PATCHED ? 'No fix is known' : `Upgrade to version ${patched}`,
    url,
    references: url,
    access: 'public',
    cves: [],
    cwe: cwe ?? [],
    cvss: cvss ?? { score: 0, vectorString: null },
  };
}

/** The range that clients read as "there is no fixed version". */
const NEVER_PATCHED = '<0.0.0';

/** The bulk route does not say what is fixed: everything above the last bound of the vulnerable range. */
function patchedVersions(vulnerable: string): string {
  const last = vulnerable.split('||').at(-1)?.trim() ?? '';
  const bound = /(?:^|\s)(<=?)\s*(\S+)$/.exec(last);
  if (bound === null) return NEVER_PATCHED;
  return bound[1] === '<' ? `>=${bound[2]}` : `>${bound[2]}`;
}
