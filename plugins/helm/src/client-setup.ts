import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the steps that point helm and Flux at a repository. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { host, protocol, origin } = new URL(baseUrl);
  const { name, kind } = repository;
  // The start page shows the place that images are found at.
  const url = baseUrl === `${origin}/v2/${name}` ? `${origin}/${name}` : baseUrl;
  const credentials = guarded ? ' --username USER --password PASSWORD' : '';
  const setup: ClientSetup[] = [
    { client: 'helm', snippet: `helm repo add ${name} ${url}${credentials}\nhelm repo update` },
    {
      client: 'Flux',
      snippet: [
        'apiVersion: source.toolkit.fluxcd.io/v1',
        'kind: HelmRepository',
        'metadata:',
        `  name: ${name}`,
        'spec:',
        '  interval: 5m',
        `  url: ${url}`,
        // A Secret of the same namespace, with `username` and `password`.
        ...(guarded ? ['  secretRef:', `    name: ${name}-credentials`] : []),
      ].join('\n'),
    },
  ];
  if (kind === 'proxy') return setup;
  const plain = protocol === 'http:' ? ' --plain-http' : '';
  return [
    ...setup,
    { client: 'helm cm-push', snippet: `helm cm-push chart/ ${name}` },
    { client: 'curl', snippet: `curl --data-binary @chart-1.0.0.tgz ${url}/api/charts` },
    { client: 'helm, as an image', snippet: `helm pull oci://${host}/${name}/chart --version 1.0.0${plain}` },
  ];
}
