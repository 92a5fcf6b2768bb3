import type { AccessNeed, NameFacts, Right } from '@entrepot/core';
import { compileGlob, compileNamePattern } from '@entrepot/core/formats';
import type { KeyScope } from '../drivers/sql/key-store.js';
import { namePatterns } from './name-patterns.js';

const RANK = { read: 0, write: 1, admin: 2 } as const satisfies Readonly<Record<KeyScope['may'], number>>;
/** Signs that have a meaning in a pattern of some format. */
const MEANING = /[*?[\]{}\\!]/;

/** A repository as scopes see it. */
export interface ScopedRepository {
  readonly name: string;
  /** The language of patterns of names in it. */
  readonly pattern?: NameFacts['pattern'] | undefined;
}

/** Whether a scope is about a repository. */
export function concerns({ repositories }: KeyScope, repository: string): boolean {
  return repositories.some((pattern) => compileNamePattern(pattern)(repository));
}

/** Whether a scope lets administer a repository as a whole, or, without one, the server. */
export function administers(scope: KeyScope, repository: string | undefined): boolean {
  if (scope.may !== 'admin' || !hasAllNames(scope)) return false;
  return repository === undefined ? scope.repositories.some(isAll) : concerns(scope, repository);
}

/** Computes the rights that scopes give in one repository. */
export function rightsAt(
  scopes: readonly KeyScope[],
  { name: repository, pattern }: ScopedRepository,
): (need: AccessNeed) => boolean {
  const grants = scopes
    .filter((scope) => concerns(scope, repository))
    .map(({ may, names }) => ({ rank: RANK[may], fits: names === undefined ? () => true : fitting(names, pattern) }));
  return ({ right, name, anyName }) =>
    grants.some(({ rank, fits }) => rank >= RANK[right satisfies Right] && (anyName === true || fits(name)));
}

/** A pattern that is none in the language of this repository fits nothing. */
function fitting(names: readonly string[], pattern: NameFacts['pattern']): (name: string | undefined) => boolean {
  try {
    return namePatterns(names, pattern);
  } catch {
    return () => false;
  }
}

/**
 * Whether `wanted` gives nothing that `own` does not give. In doubt it does: a pattern is within another one that is the same, that
 * takes everything, or that takes it as a name; a glob also within one that ends in `/**` and begins as it does.
 * @param repositories those that are served, whose languages of patterns count
 */
export function isWithin(
  wanted: readonly KeyScope[],
  own: readonly KeyScope[],
  repositories: readonly ScopedRepository[],
): boolean {
  return wanted.every((one) => own.some((other) => isScopeWithin(one, other, repositories)));
}

function isScopeWithin(wanted: KeyScope, own: KeyScope, repositories: readonly ScopedRepository[]): boolean {
  if (RANK[wanted.may] > RANK[own.may]) return false;
  const takes = own.repositories.map((pattern) => compileNamePattern(pattern));
  for (const pattern of wanted.repositories) {
    const isTaken = own.repositories.includes(pattern) || (!pattern.includes('*') && takes.some((one) => one(pattern)));
    if (!isTaken && !own.repositories.some(isAll)) return false;
  }
  if (hasAllNames(own)) return true;
  if (wanted.names === undefined) return false;
  const languages = new Set(repositories.filter(({ name }) => concerns(wanted, name)).map(({ pattern }) => pattern));
  if (languages.size === 0) languages.add('paths');
  return wanted.names.every((pattern) => isPatternWithin(pattern, own.names ?? [], languages));
}

function isPatternWithin(
  wanted: string,
  own: readonly string[],
  languages: ReadonlySet<NameFacts['pattern']>,
): boolean {
  if (own.includes(wanted)) return true;
  return Array.from(languages).every((language) => {
    if (!MEANING.test(wanted)) return fitting(own, language)(wanted);
    const isGlob = language === undefined || language === 'paths';
    return isGlob && own.some((pattern) => beginsBelow(wanted, pattern));
  });
}

/** Whether a glob stands for nothing but what is below `folder/**`. */
function beginsBelow(glob: string, folder: string): boolean {
  const above = folder.endsWith('/**') ? folder.slice(0, -2) : '';
  return above !== '' && !MEANING.test(above) && glob.startsWith(above);
}

/**
 * Finds a pattern of names that no repository of a scope understands.
 * @returns why the first one is none; `undefined`: there is none such
 */
export function patternProblem(scope: KeyScope, repositories: readonly ScopedRepository[]): string | undefined {
  const concerned = repositories.filter(({ name }) => concerns(scope, name));
  const languages = concerned.length === 0 ? ['paths' as const] : concerned.map(({ pattern }) => pattern);
  for (const name of scope.names ?? []) {
    try {
      for (const language of languages) (language === undefined || language === 'paths' ? compileGlob : language)(name);
    } catch (error) {
      return `${name}: ${(error as Error).message}`;
    }
  }
  return undefined;
}

function isAll(pattern: string): boolean {
  return /^\*+$/.test(pattern);
}

function hasAllNames({ names }: KeyScope): boolean {
  return names === undefined || names.includes('**');
}
