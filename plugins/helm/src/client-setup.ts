import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the steps that point helm and Flux at a repository. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { host, protocol, origin } = new URL(baseUrl);
  const { name, kind } = repository;
  // The start page shows the place that images are found at.
  const url = baseUrl === `${origin}/v2/${name}` ? `${origin}/${name}` : baseUrl;
  const credentials = guarded ? ' --username USER --password PASSWORD' : '';
  // A Secret of the same namespace, with `username` and `password`.
  const secret = guarded ? `\n  secretRef:\n    name: ${name}-credentials` : '';
  const flux = `apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata:
  name: ${name}
spec:
  interval: 5m
  url: ${url}${secret}`;
  const setup: ClientSetup[] = [
    {
      client: 'helm',
      steps: [
        { kind: 'command', text: `helm repo add ${name} ${url}${credentials}`, needsKey: guarded },
        { kind: 'command', text: 'helm repo update' },
      ],
      check: `helm search repo ${name}/`,
      undo: [`helm repo remove ${name}`],
    },
    { client: 'Flux', steps: [{ kind: 'file', path: `${name}.yaml`, text: flux }] },
  ];
  if (kind === 'proxy') return setup;
  const plain = protocol === 'http:' ? ' --plain-http' : '';
  return [
    ...setup,
    command('helm cm-push', `helm cm-push chart/ ${name}`),
    command('curl', `curl --data-binary @chart-1.0.0.tgz ${url}/api/charts`),
    command('helm, as an image', `helm pull oci://${host}/${name}/chart --version 1.0.0${plain}`),
  ];
}

function command(client: string, text: string): ClientSetup {
  return { client, steps: [{ kind: 'command', text }] };
}
