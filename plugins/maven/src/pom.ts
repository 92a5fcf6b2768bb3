import type { Content } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { readXml } from './read-xml.js';

/** The largest POM that is read, in bytes. Those of platforms with thousands of managed versions have 500 KB. */
export const LARGEST_POM = 4 * 1024 * 1024;
/** The bound on licences of one POM. */
const MOST_LICENCES = 50;

/** The coordinates that a POM states. Parts may be those of its parent. */
export interface PomName {
  readonly groupId?: string | undefined;
  readonly artifactId?: string | undefined;
  readonly version?: string | undefined;
}

/** A POM, as far as it is read. */
export interface Pom extends PomName {
  readonly parent?: PomName | undefined;
  /** `jar` where it says nothing. */
  readonly packaging: string;
  readonly name?: string | undefined;
  /** Names of licences as they stand there. */
  readonly licences: readonly string[];
}

/** Reads a POM. @throws EntrepotError `upstream-unavailable` for what is none */
export async function readPom(content: Pick<Content, 'size' | 'stream'>, subject: string): Promise<Pom> {
  const fields = new Map<string, string>();
  const licences: string[] = [];
  let root: string | undefined;
  await readXml(content, subject, LARGEST_POM, {
    open: (path) => void (root ??= path),
    close(path, text) {
      if (FIELDS.has(path) && !fields.has(path)) fields.set(path, text);
      if (path === '/project/licenses/license/name' && text !== '' && licences.length < MOST_LICENCES)
        licences.push(text.slice(0, 200));
    },
  });
  if (root !== '/project') throw malformed(subject, 'expected an element "project"');
  const nameAt = (place: string): PomName => ({
    groupId: fields.get(`${place}/groupId`),
    artifactId: fields.get(`${place}/artifactId`),
    version: fields.get(`${place}/version`),
  });
  return {
    ...nameAt('/project'),
    parent: fields.has('/project/parent/artifactId') ? nameAt('/project/parent') : undefined,
    packaging: fields.get('/project/packaging') ?? 'jar',
    name: fields.get('/project/name'),
    licences,
  };
}

const FIELDS: ReadonlySet<string> = new Set([
  ...['groupId', 'artifactId', 'version', 'packaging', 'name'].map((name) => `/project/${name}`),
  ...['groupId', 'artifactId', 'version'].map((name) => `/project/parent/${name}`),
]);
