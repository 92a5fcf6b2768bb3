import {
  anonymousAccess,
  EntrepotError,
  type Access,
  type Clock,
  type Logger,
  type NameFacts,
  type Transport,
} from '@entrepot/core';
import { ConfigurationError, type ConfigurationProblem } from '../config/configuration-error.js';
import type { IssuerConfig, RepositoryConfig } from '../config/schema.js';
import type { ApiKeys } from './api-keys.js';
import { hashOf } from './check-password.js';
import { HtpasswdFile } from './htpasswd.js';
import type { JwtVerifier } from './jwt-verifier.js';
import { namePatterns } from './name-patterns.js';
import { RepositoryAccess, type KnownUser } from './repository-access.js';
import type { RepositoryTokens } from './repository-tokens.js';

/** The facts of a repository that its access control needs. */
export interface AccessPlan {
  readonly name: string;
  readonly kind: 'proxy' | 'hosted';
  readonly loaded: { readonly plugin: { readonly names?: NameFacts | undefined } };
  readonly mount: string;
  readonly sharedMounts: readonly string[];
  /** Whether uploads are accepted from this machine alone, since callers are not authenticated. */
  readonly acceptsUploads: boolean;
  readonly config: Pick<RepositoryConfig, 'access'>;
}

export interface AccessServices {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly transport: Transport;
  readonly tokens: () => RepositoryTokens;
  readonly keys: () => ApiKeys;
}

/**
 * Loads the verifier on demand: its library takes ten megabytes that only servers with such tokens need.
 * @throws EntrepotError `configuration` for a key file that cannot be used
 */
export async function openVerifier(config: IssuerConfig, clock: Clock, transport: Transport): Promise<JwtVerifier> {
  const { openJwtVerifier } = await import('./jwt-verifier.js');
  return await openJwtVerifier(config, clock, transport);
}

/**
 * Opens the access control of the repository of `plan`.
 * @throws ConfigurationError for files that cannot be used
 */
export async function openAccess(plan: AccessPlan, services: AccessServices): Promise<Access> {
  const { name, kind, config, acceptsUploads, sharedMounts, mount } = plan;
  const { access } = config;
  // A proxy takes no uploads anyway, and says so itself.
  if (access === undefined && kind === 'proxy') return anonymousAccess(['read', 'write']);
  if (access === undefined) return acceptsUploads ? localAccess() : anonymousAccess(['read']);
  const problems: ConfigurationProblem[] = [];
  const { pattern, claimTypes = [] } = plan.loaded.plugin.names ?? {};
  const users = new Map<string, KnownUser>();
  for (const [user, { may, names, ...password }] of Object.entries(access.users)) {
    const fits = names === undefined ? () => true : namesOf(user, names);
    users.set(user, { hash: await hashOf(password), may, fits });
  }
  const { clock, logger, transport, tokens, keys } = services;
  const htpasswd =
    access.htpasswd === undefined
      ? undefined
      : await opened('htpasswd', HtpasswdFile.open(access.htpasswd, clock, logger));
  const verifier =
    access.jwt === undefined ? undefined : await opened('jwt.keyFile', openVerifier(access.jwt, clock, transport));
  if (problems.length > 0) throw new ConfigurationError(problems);
  return new RepositoryAccess({
    repository: name,
    plainNames: sharedMounts.includes(mount),
    types: claimTypes,
    namesPackages: pattern !== undefined,
    anonymous: access.anonymous,
    users,
    htpasswd,
    jwt: access.jwt === undefined || verifier === undefined ? undefined : { verifier, config: access.jwt },
    tokens,
    keys,
    pattern,
    clock,
  });

  function namesOf(user: string, patterns: readonly string[]): KnownUser['fits'] {
    try {
      return namePatterns(patterns, pattern);
    } catch (error) {
      problems.push({ path: `repositories.${name}.access.users.${user}.names`, message: (error as Error).message });
      return () => false;
    }
  }

  async function opened<T>(key: string, opening: Promise<T>): Promise<T | undefined> {
    try {
      return await opening;
    } catch (error) {
      if (!(error instanceof EntrepotError)) throw error;
      problems.push({ path: `repositories.${name}.access.${key}`, message: error.message });
      return undefined;
    }
  }
}

/** Everybody may read, and users of this machine may write. */
function localAccess(): Access {
  return { ...anonymousAccess(['read']), isOpen: ({ right, isLocal }) => right === 'read' || isLocal === true };
}
