import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** How files are fetched from a repository, and put into a hosted one. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const user = guarded ? ' --user USER:PASSWORD' : '';
  const read: ClientSetup[] = [
    { client: 'curl', snippet: `curl --fail --location --remote-name${user} ${baseUrl}/path/to/file` },
    { client: 'wget', snippet: `wget${guarded ? ' --user=USER --password=PASSWORD' : ''} ${baseUrl}/path/to/file` },
  ];
  if (repository.kind === 'proxy') return read;
  return [
    ...read,
    { client: 'curl (upload)', snippet: `curl --fail --upload-file ./file${user} ${baseUrl}/path/to/file` },
  ];
}
