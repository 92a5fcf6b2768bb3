import type { ClientSetup, ClientSetupContext } from '@entrepot/core';
import { repositoryIn } from './reference.js';

/** Gives the commands that reach a repository. Image names begin with the host, and go on with the path below `/v2`. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { host, protocol } = new URL(baseUrl);
  const named = repositoryIn(baseUrl);
  const prefix = named === undefined ? host : `${host}/${named}`;
  const [plainHttp, noTls] = protocol === 'http:' ? [' --plain-http', ' --tls-verify=false'] : ['', ''];
  const login: ClientSetup = {
    client: 'credentials',
    steps: [{ kind: 'command', text: `docker login ${host}`, needsKey: true }],
    undo: [`docker logout ${host}`],
  };
  const pull = [
    ...(guarded ? [login] : []),
    command('docker, podman, nerdctl', `docker pull ${prefix}/library/alpine:latest`),
    command('skopeo', `skopeo inspect${noTls} docker://${prefix}/library/alpine:latest`),
    command('helm', `helm pull oci://${prefix}/charts/app --version 1.0.0${plainHttp}`),
  ];
  if (repository.kind === 'hosted') return [...pull, command('docker push', `docker push ${prefix}/team/app:1.0.0`)];
  const upstream = repository.upstreams[0]?.url ?? 'https://registry.example.com';
  const mirror = `server = "${upstream}"\n\n[host."${protocol}//${host}"]\n  capabilities = ["pull", "resolve"]`;
  return [
    ...pull,
    { client: 'containerd', steps: [{ kind: 'file', path: 'certs.d/<registry>/hosts.toml', text: mirror }] },
  ];
}

function command(client: string, text: string): ClientSetup {
  return { client, steps: [{ kind: 'command', text }] };
}
