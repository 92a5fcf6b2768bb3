import { createHash } from 'node:crypto';

/** A sum in hex. */
export const sum = (algorithm: string, bytes: string | Uint8Array): string =>
  createHash(algorithm).update(bytes).digest('hex');

/** Bytes that begin as an archive does. */
export const jar = (text: string): string => `PK\u0003\u0004${text}`;

/** A POM. @param more elements of the project */
export function pom(name: string, more = ''): string {
  const [groupId, artifactId, version] = name.split(':');
  return `<?xml version="1.0"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>${groupId}</groupId><artifactId>${artifactId}</artifactId><version>${version}</version>${more}
</project>
`;
}

/** Metadata of an artifact with versions. */
export function metadata(name: string, versions: readonly string[]): string {
  const [groupId, artifactId] = name.split(':');
  const last = versions.at(-1);
  return `<?xml version="1.0" encoding="UTF-8"?>
<metadata>
  <groupId>${groupId}</groupId>
  <artifactId>${artifactId}</artifactId>
  <versioning>
    <latest>${last}</latest>
    <release>${last}</release>
    <versions>${versions.map((version) => `<version>${version}</version>`).join('')}</versions>
    <lastUpdated>20260102030405</lastUpdated>
  </versioning>
</metadata>
`;
}
