import type { ClientSetup, ClientSetupContext } from '@entrepot/core';
import { repositoryIn } from './reference.js';

/** How clients are pointed at a repository. Image names begin with the host, and go on with the path below `/v2`. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { host, protocol } = new URL(baseUrl);
  const named = repositoryIn(baseUrl);
  const prefix = named === undefined ? host : `${host}/${named}`;
  const insecure = protocol === 'http:';
  const login = { client: 'credentials', snippet: `docker login ${host}` };
  const pull: ClientSetup[] = [
    ...(guarded ? [login] : []),
    { client: 'docker, podman, nerdctl', snippet: `docker pull ${prefix}/library/alpine:latest` },
    {
      client: 'skopeo',
      snippet: `skopeo inspect${insecure ? ' --tls-verify=false' : ''} docker://${prefix}/library/alpine:latest`,
    },
    {
      client: 'helm',
      snippet: `helm pull oci://${prefix}/charts/app --version 1.0.0${insecure ? ' --plain-http' : ''}`,
    },
  ];
  if (repository.kind === 'hosted') {
    return [...pull, { client: 'docker push', snippet: `docker push ${prefix}/team/app:1.0.0` }];
  }
  const upstream = repository.upstreams[0]?.url ?? 'https://registry.example.com';
  const mirror = `server = "${upstream}"\n\n[host."${protocol}//${host}"]\n  capabilities = ["pull", "resolve"]`;
  return [...pull, { client: 'containerd (certs.d/<registry>/hosts.toml)', snippet: mirror }];
}
