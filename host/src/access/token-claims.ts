import type { AccessNeed, Right } from '@entrepot/core';

/** Settings for the claims of a token of another issuer. */
export interface ClaimRules {
  /** The repository of the request. */
  readonly repository: string;
  /** Whether names in it stand for themselves too (`nginx`), not only below the repository's name (`hub/nginx`). */
  readonly plainNames: boolean;
  /** Whether names are those of packages, which an entry for the repository itself covers. */
  readonly namesPackages: boolean;
  /** The types of entries that are taken besides `repository`: their names are those of the format itself. */
  readonly types: readonly string[];
  /** A claim with a text of words or a list of texts: `scope`, `groups`. */
  readonly claim: string;
  /** The words in it that let read and write everything; those for `write` let read as well. */
  readonly read: readonly string[];
  readonly write: readonly string[];
}

/** An entry of the `access` claim: of Docker's registry tokens, and of ChartMuseum. */
export interface AccessEntry {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** ChartMuseum's name for the repository of a server without tenants. */
const ONLY_TENANT = 'repo';
const ACTIONS: Readonly<Record<Right, string>> = { read: 'pull', write: 'push' };

/**
 * Computes the rights that `claims` grant, in any of three forms:
 * - `access: [{ type: 'repository', name: 'hub/nginx', actions: ['pull', 'push'] }]`;
 * - `access: [{ type: 'artifact-repository', name: 'org/repo', actions: [...] }]`, whose names are tenants. Only for
 *   formats that have this type: elsewhere a tenant could have the name of anything.
 * - words in the claim that the configuration names.
 * Names are compared as a whole: `org` matches neither `org1` nor `org/repo`.
 */
export function rightsOfClaims(
  claims: Readonly<Record<string, unknown>>,
  rules: ClaimRules,
): (need: AccessNeed) => boolean {
  const { access } = claims;
  const entries = Array.isArray(access) ? access.filter(isAccessEntry) : [];
  const words = new Set(wordsOf(claims[rules.claim]));
  const writes = rules.write.some((word) => words.has(word));
  const reads = writes || rules.read.some((word) => words.has(word));
  return (need) => (need.right === 'write' ? writes : reads) || entries.some((entry) => allows(entry, need, rules));
}

function allows({ type, name, actions }: AccessEntry, need: AccessNeed, rules: ClaimRules): boolean {
  if (!actions.includes(ACTIONS[need.right]) && !actions.includes('*')) return false;
  if (rules.types.includes(type)) return name === (need.name ?? ONLY_TENANT);
  if (type !== 'repository') return false;
  if (need.anyName === true && name.startsWith(`${rules.repository}/`)) return true;
  if (name === rules.repository && (need.name === undefined || rules.namesPackages)) return true;
  if (need.name === undefined) return false;
  return name === `${rules.repository}/${need.name}` || (rules.plainNames && name === need.name);
}

function isAccessEntry(value: unknown): value is AccessEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { type, name, actions } = value as Partial<Record<keyof AccessEntry, unknown>>;
  return typeof type === 'string' && typeof name === 'string' && Array.isArray(actions);
}

/** The words of a claim, which is a list or a text with spaces. */
export function wordsOf(claim: unknown): unknown[] {
  if (typeof claim === 'string') return claim.split(' ');
  return Array.isArray(claim) ? claim : [];
}
