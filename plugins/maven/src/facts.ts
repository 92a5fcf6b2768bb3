import { EntrepotError, type ArtifactFacts, type Content, type Resource, type VerifyContext } from '@entrepot/core';
import { licenceOf } from './licences.js';
import { filePath } from './layout.js';
import { readPom, type Pom } from './pom.js';

/** The most parents of a POM that are looked at for licences. */
const MOST_PARENTS = 8;

/** The facts that a POM states, or one of its parents. */
type PomFacts = Pick<ArtifactFacts, 'publishedAt' | 'licenses'>;

/** Whether policy looks at what POMs say. */
export function needsPom(needs: VerifyContext['needs']): boolean {
  return needs.has('publishedAt') || needs.has('licenses');
}

/**
 * Reads the facts of a version from its POM. The date is that of the file at the upstream. Licences are those of the nearest parent that has
 * any.
 * @param parentAt names the POM of a parent by its path
 */
export async function factsOf(
  content: Content,
  subject: string,
  { needs, read, headers }: Pick<VerifyContext, 'needs' | 'read' | 'headers'>,
  parentAt: (path: string) => Resource | undefined,
): Promise<PomFacts> {
  const publishedAt = Date.parse(headers['last-modified'] ?? '');
  const date = Number.isNaN(publishedAt) ? {} : { publishedAt };
  if (!needs.has('licenses')) return date;
  let pom: Pom | undefined = await readPom(content, subject);
  for (let depth = 0; pom !== undefined && depth <= MOST_PARENTS; depth += 1) {
    if (pom.licences.length > 0) return { ...date, licenses: pom.licences.map(licenceOf) };
    pom = depth === MOST_PARENTS ? undefined : await parentOf(pom, read, parentAt);
  }
  return date;
}

async function parentOf(
  { parent }: Pom,
  read: VerifyContext['read'],
  parentAt: (path: string) => Resource | undefined,
): Promise<Pom | undefined> {
  const { groupId, artifactId, version } = parent ?? {};
  // A version with an expression in it is known to a build alone.
  const isNamed = [groupId, artifactId, version].every((part) => part !== undefined && PART.test(part));
  if (!isNamed) return undefined;
  const parentName = { group: groupId as string, artifact: artifactId as string, version: version as string };
  const path = filePath(parentName, '.pom');
  try {
    const resource = parentAt(path);
    return resource && (await readPom(await read(resource), path));
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
    throw error;
  }
}

const PART = /^[A-Za-z0-9_-][A-Za-z0-9_.+~-]{0,254}$/;
