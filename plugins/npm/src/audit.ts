import {
  EntrepotError,
  type AdaptContext,
  type AdaptedReply,
  type AdaptedRequest,
  type Upstream,
  type Resource,
} from '@entrepot/core';
import { type Fields, isRecord, malformed, parseBoundedJson, textOf } from '@entrepot/core/formats';
import satisfies from 'semver/functions/satisfies.js';
import { isPackageName, scopeOf } from './package-name.js';

/** How many paths to one version a legacy reply names: a tree can hold the same version thousands of times. */
const PATH_LIMIT = 100;
/** How deep a legacy tree is followed. */
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
function walk(request: Fields): TreeNode[] {
  const nodes: TreeNode[] = [];
  const open: { readonly children: unknown; readonly path: string; readonly depth: number }[] = [
    { children: request['dependencies'], path: '', depth: 0 },
  ];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (!isRecord(next.children) || next.depth > DEPTH_LIMIT) continue;
    for (const [name, child] of Object.entries(next.children)) {
      if (!isRecord(child)) continue;
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
function legacyReply(nodes: readonly TreeNode[], bulk: Fields): Fields {
  const byName = nodesByName(nodes);
  const advisories = new Map<string, Fields>();
  const actions = new Map<string, Fields[]>();
  const vulnerabilities = new Map<string, number>(SEVERITIES.map((severity) => [severity, 0]));
  for (const [name, listed] of Object.entries(bulk)) {
    for (const advisory of Array.isArray(listed) ? (listed as readonly unknown[]).flatMap(readAdvisory) : []) {
      const hit = (byName.get(name) ?? []).filter(({ version }) =>
        satisfies(version, advisory.vulnerableVersions, { includePrerelease: true, loose: true }),
      );
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

function readAdvisory(advisory: unknown): Advisory[] {
  if (!isRecord(advisory)) return [];
  const { id, url, title, severity, vulnerable_versions: range, cwe, cvss } = advisory;
  if (typeof id !== 'number' && typeof id !== 'string') return [];
  return [
    {
      id,
      url: textOf(url) ?? '',
      title: textOf(title) ?? '',
      severity: SEVERITIES.find((level) => level === severity) ?? 'info',
      vulnerableVersions: textOf(range) ?? '*',
      cwe,
      cvss,
    },
  ];
}

function legacyAdvisory(name: string, advisory: Advisory, hit: readonly TreeNode[]): Fields {
  const versions = Map.groupBy(hit, ({ version }) => version);
  const patched = patchedVersions(advisory.vulnerableVersions);
  return {
    id: advisory.id,
    findings: Array.from(versions, ([version, found]) => ({
      version,
      paths: found.slice(0, PATH_LIMIT).map(({ path }) => path),
    })),
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
