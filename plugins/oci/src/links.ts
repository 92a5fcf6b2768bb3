/** The target of the link to the next page among those of a `Link` header (RFC 8288 §3), as it is written there. */
export function nextTarget(header: string): string | undefined {
  for (const [, target, parameters = ''] of header.matchAll(/<([^<>]*)>([^<]*)/g)) {
    const [, quoted, bare = ''] = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(parameters) ?? [];
    const relations = (quoted ?? bare).toLowerCase().split(' ');
    if (relations.includes('next')) return target;
  }
  return undefined;
}
