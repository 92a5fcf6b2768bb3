/** The names of Docker Hub: the one in image references, and those of its servers. */
const DOCKER_HUB: ReadonlySet<string> = new Set([
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  'www.docker.io',
]);

/**
 * The name of a registry as image references and `?ns=` spell it: a host in lower case, with its port where it is not the usual one.
 * @param registry a URL, or a host
 * @returns `undefined` when it is neither
 */
export function namespaceOf(registry: string): string | undefined {
  const text = registry.includes('://') ? registry : `https://${registry}`;
  if (!URL.canParse(text)) return undefined;
  const { host, username, password, protocol } = new URL(text);
  if (username !== '' || password !== '' || host === '') return undefined;
  const plain = protocol === 'http:' ? host : host.replace(/:(?:443|80)$/, '');
  return DOCKER_HUB.has(plain) ? 'docker.io' : plain;
}

/** A host with its port; what else stands in a URL is none of `?ns=`. */
const HOST = /^[\w.:[\]-]+$/;

/** Whether `text` has the form of a registry in `?ns=`. It may be said in a header then. */
export function isNamespace(text: string): boolean {
  return HOST.test(text);
}
