import {
  EntrepotError,
  type AdaptContext,
  type AdaptedReply,
  type AdaptedRequest,
  type Upstream,
  type Resource,
} from '@entrepot/core';
import { malformed, parseBoundedJson } from '@entrepot/core/formats';
import satisfies from 'semver/functions/satisfies.js';
import { isPackageName, scopeOf } from './package-name.js';

/** How many paths to one version a legacy reply names: a tree can hold the same version thousands of times. */
const PATH_LIMIT = 100;
/** How deep a legacy tree is followed. */
const DEPTH_LIMIT = 200;
const SEVERITIES = ['info', 'low', 'moderate', 'high', 'critical'] as const;

type JsonObject = Readonly<Record<string, unknown>>;

/** One version in the tree of a legacy request. */
interface TreeNode {
  readonly name: string;
  readonly version: string;
  /** Names from the root, joined by `>`. */
  readonly path: string;
  readonly dev: boolean;
  readonly optional: boolean;
}

/** An advisory as the bulk route gives it. */
interface Advisory {
  readonly id: number | string;
  readonly url: string;
  readonly title: string;
  readonly severity: string;
  readonly vulnerableVersions: string;
  readonly cwe: unknown;
  readonly cvss: unknown;
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
  const versions = resource.key === 'legacy-audit' ? versionsOf(walk(request)) : bulkVersions(request);
  const kept: [string, readonly string[]][] = [];
  for (const [name, found] of versions) {
    if (!isPackageName(name)) continue;
    if (leaves && (isPrivate(name, upstreams) || !admits({ ecosystem: 'npm', name }))) continue;
    kept.push([name, [...found].sort()]);
  }
  kept.sort(([one], [other]) => (one < other ? -1 : 1));
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
  reply: { readonly status: number; readonly body: Uint8Array },
  requestBody: Uint8Array,
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

function parseBody(body: Uint8Array): JsonObject {
  const request = parseObject(body);
  if (request === undefined) throw new EntrepotError('bad-request', 'expected a JSON object as the body of an audit');
  return request;
}

function parseObject(body: Uint8Array): JsonObject | undefined {
  try {
    const value: unknown = parseBoundedJson(body);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPrivate(name: string, upstreams: readonly Upstream[]): boolean {
  const scope = scopeOf(name);
  return scope !== undefined && upstreams.some((upstream) => upstream.scope?.replace(/^@?/, '@') === scope);
}

function bulkVersions(request: JsonObject): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [name, versions] of Object.entries(request)) {
    if (!Array.isArray(versions)) {
      throw new EntrepotError('bad-request', 'expected a list of versions for every name in the body of an audit');
    }
    found.set(name, new Set((versions as readonly unknown[]).filter((version) => typeof version === 'string')));
  }
  return found;
}

function versionsOf(nodes: readonly TreeNode[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { name, version } of nodes) {
    const versions = found.get(name) ?? new Set();
    found.set(name, versions.add(version));
  }
  return found;
}

/** The versions of the lockfile tree in a legacy body, without the root. */
function walk(request: JsonObject): TreeNode[] {
  const nodes: TreeNode[] = [];
  const open: { readonly children: unknown; readonly path: string; readonly depth: number }[] = [
    { children: request['dependencies'], path: '', depth: 0 },
  ];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (!isObject(next.children) || next.depth > DEPTH_LIMIT) continue;
    for (const [name, child] of Object.entries(next.children)) {
      if (!isObject(child)) continue;
      const path = next.path === '' ? name : `${next.path}>${name}`;
      const version = child['version'];
      if (typeof version === 'string') {
        nodes.push({ name, version, path, dev: child['dev'] === true, optional: child['optional'] === true });
      }
      open.push({ children: child['dependencies'], path, depth: next.depth + 1 });
    }
  }
  return nodes;
}

/** The reply of the routes that npm 6, old pnpm and old yarn know. Of several ways to fix things it offers none: `review`. */
function legacyReply(nodes: readonly TreeNode[], bulk: JsonObject): JsonObject {
  const byName = new Map<string, TreeNode[]>();
  for (const node of nodes) {
    const same = byName.get(node.name) ?? [];
    byName.set(node.name, same);
    same.push(node);
  }
  const advisories = new Map<string, JsonObject>();
  const actions = new Map<string, JsonObject[]>();
  const vulnerabilities = new Map<string, number>(SEVERITIES.map((severity) => [severity, 0]));
  for (const [name, listed] of Object.entries(bulk)) {
    for (const advisory of Array.isArray(listed) ? (listed as readonly unknown[]).flatMap(readAdvisory) : []) {
      const hit = (byName.get(name) ?? []).filter(({ version }) => isHit(version, advisory));
      if (hit.length === 0) continue;
      advisories.set(String(advisory.id), legacyAdvisory(name, advisory, hit));
      vulnerabilities.set(advisory.severity, (vulnerabilities.get(advisory.severity) ?? 0) + hit.length);
      const resolves = actions.get(name) ?? [];
      actions.set(name, resolves);
      for (const { path, dev, optional } of hit.slice(0, PATH_LIMIT)) {
        resolves.push({ id: advisory.id, path, dev, optional, bundled: false });
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

function isHit(version: string, { vulnerableVersions }: Advisory): boolean {
  return satisfies(version, vulnerableVersions, { includePrerelease: true, loose: true });
}

function readAdvisory(advisory: unknown): Advisory[] {
  if (!isObject(advisory)) return [];
  const { id, url, title, severity, vulnerable_versions: range, cwe, cvss } = advisory;
  if (typeof id !== 'number' && typeof id !== 'string') return [];
  return [
    {
      id,
      url: text(url),
      title: text(title),
      severity: (SEVERITIES as readonly unknown[]).includes(severity) ? text(severity) : 'info',
      vulnerableVersions: text(range) || '*',
      cwe,
      cvss,
    },
  ];
}

function legacyAdvisory(name: string, advisory: Advisory, hit: readonly TreeNode[]): JsonObject {
  const paths = new Map<string, string[]>();
  for (const { version, path } of hit) {
    const known = paths.get(version) ?? [];
    paths.set(version, known);
    if (known.length < PATH_LIMIT) known.push(path);
  }
  const patched = patchedVersions(advisory.vulnerableVersions);
  return {
    id: advisory.id,
    findings: [...paths].map(([version, found]) => ({ version, paths: found })),
    title: advisory.title,
    module_name: name,
    vulnerable_versions: advisory.vulnerableVersions,
    patched_versions: patched,
    severity: advisory.severity,
    overview: advisory.title,
    recommendation: patched === NEVER_PATCHED ? 'No fix is known' : `Upgrade to version ${patched}`,
    url: advisory.url,
    references: advisory.url,
    access: 'public',
    cves: [],
    cwe: advisory.cwe ?? [],
    cvss: advisory.cvss ?? { score: 0, vectorString: null },
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

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
