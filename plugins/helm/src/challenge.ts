import type { AccessNeed } from '@entrepot/core';
import { encodedTenant } from './chart-url.js';
import type { HelmOptions } from './options.js';

/** ChartMuseum's name for all charts, where there are no tenants. */
const ONLY_TENANT = 'repo';

/** Asks for credentials as ChartMuseum does: for a password, or for a token of another server. */
export function challenge(
  { tokenRealm, tokenService }: Pick<HelmOptions, 'tokenRealm' | 'tokenService'>,
  { right, name }: AccessNeed,
  baseUrl: string,
): string {
  if (tokenRealm === undefined) return 'Basic realm="ChartMuseum"';
  const place = name === undefined ? ONLY_TENANT : encodedTenant(name);
  const scope = `artifact-repository:${place}:${right === 'read' ? 'pull' : 'push'}`;
  return `Bearer realm="${tokenRealm}",service="${tokenService ?? new URL(baseUrl).host}",scope="${scope}"`;
}
