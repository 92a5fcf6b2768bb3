import { EntrepotError } from '@entrepot/core';
import { ALL_BLOBS } from '../drivers/sql/eviction-store.js';

/** The bound of one repository, or of the repositories of a project. */
export interface Quota {
  /** Bytes. */
  readonly bytes: number;
  readonly kind: 'proxy' | 'hosted' | 'project';
  /** The repositories of a project. */
  readonly members?: readonly QuotaMember[] | undefined;
}

/** A repository of a project. */
export interface QuotaMember {
  readonly name: string;
  readonly kind: 'proxy' | 'hosted';
}

/** A repository, and its bounds in bytes. */
export interface BoundedRepository {
  readonly kind: QuotaMember['kind'];
  readonly quota?: number | undefined;
  /** The project whose repositories have a bound together. */
  readonly project?: { readonly name: string; readonly quota: number } | undefined;
}

/** A bound on all blobs, on one repository, or on several together. */
export interface Scope {
  /** The name of a repository; `ALL_BLOBS` for all; that of `projectScope`. */
  readonly name: string;
  /** Bytes. */
  readonly bound: number;
}

const PROJECT = 'project/';

/** Names the bound of a project among those of repositories. None has such a name. */
export function projectScope(name: string): string {
  return PROJECT + name;
}

/** Collects the bounds of repositories and their projects, by the names of their scopes. */
export function* quotasOf(repositories: Iterable<readonly [string, BoundedRepository]>): Generator<[string, Quota]> {
  const projects = new Map<string, Quota & { readonly members: QuotaMember[] }>();
  for (const [name, { kind, quota, project }] of repositories) {
    if (quota !== undefined) yield [name, { bytes: quota, kind }];
    if (project === undefined) continue;
    const scope = projectScope(project.name);
    const known = projects.get(scope) ?? { bytes: project.quota, kind: 'project', members: [] };
    known.members.push({ name, kind });
    projects.set(scope, known);
  }
  yield* projects;
}

/** The error of bytes that are not kept, since nothing more may go for them. */
export function noRoom({ name, bound }: Scope, size: number): EntrepotError {
  const where = name === ALL_BLOBS ? 'the store (storage.maxBytes' : `${printScope(name)} (its quota`;
  return new EntrepotError(
    'storage',
    `there is no room for ${size} bytes in ${where}: ${bound}), and nothing more can be evicted`,
    { status: 507, code: 'NO_ROOM' },
  );
}

/** The error of an upload. */
export function quotaExceeded({ name, bound }: Scope, size: number): EntrepotError {
  return new EntrepotError(
    'too-large',
    `${size} bytes more are too many for ${printScope(name)}: its quota is ${bound} bytes. Remove versions, or have its quota raised`,
    { status: 507, code: 'QUOTA_EXCEEDED' },
  );
}

function printScope(name: string): string {
  return name.startsWith(PROJECT) ? `the project ${name.slice(PROJECT.length)}` : `the repository ${name}`;
}
