import type { Config } from './schema.js';

/** Finds the project of a repository, and its bound. */
export function projectOf(
  { projects }: Pick<Config, 'projects'>,
  repository: string,
): { readonly name: string; readonly quota: number } | undefined {
  const found = Object.entries(projects).find(([, { repositories }]) => repositories.includes(repository));
  return found && { name: found[0], quota: found[1].quota };
}
