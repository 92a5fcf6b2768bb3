import type { Entry } from '../../api/entry-index.js';
import type { ArtifactResource, DocumentResource } from '../request/resource.js';

/** The headers that a resource is asked for with. */
export function askingHeaders({
  accept,
  askedWith,
}: Pick<ArtifactResource | DocumentResource, 'accept' | 'askedWith'>): Record<string, string> {
  return { accept: accept ?? '*/*', ...askedWith };
}

/** Picks the request headers by which an upstream chose a document, to be kept with it (RFC 9111 §4.1). */
export function chosenBy(
  resource: ArtifactResource | DocumentResource,
  vary: string | undefined,
): Readonly<Record<string, string>> | undefined {
  // Immutable content does not vary, whatever `Vary` says.
  if (vary === undefined || resource.kind === 'artifact' || resource.askedWith === undefined) return undefined;
  const names = new Set(vary.split(',').map((name) => name.trim().toLowerCase()));
  const chosen = Object.entries(askingHeaders(resource)).filter(([name]) => names.has(name));
  return chosen.length === 0 ? undefined : Object.fromEntries(chosen);
}

/** The request headers by which an upstream chose the cached copy. */
export function askedWithOf({ attributes }: Entry): Readonly<Record<string, string>> {
  return (attributes?.['chosenBy'] ?? {}) as Readonly<Record<string, string>>;
}

/** Whether the upstream may choose another representation than the cached one for the sender of this request. */
export function isForOthers(entry: Entry, resource: ArtifactResource | DocumentResource): boolean {
  if (entry.attributes === undefined || resource.askedWith === undefined) return false;
  const asked = askingHeaders(resource);
  return Object.entries(askedWithOf(entry)).some(([name, value]) => asked[name] !== value);
}
