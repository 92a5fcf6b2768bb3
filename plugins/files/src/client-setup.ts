import type { ClientSetup, RepositoryFacts } from '@entrepot/core';

/** How files are fetched from a repository, and put into a hosted one. */
export function clientSetup({
  baseUrl,
  repository,
}: {
  readonly baseUrl: string;
  readonly repository: RepositoryFacts;
}): readonly ClientSetup[] {
  const read: ClientSetup[] = [
    { client: 'curl', snippet: `curl --fail --location --remote-name ${baseUrl}/path/to/file` },
    { client: 'wget', snippet: `wget ${baseUrl}/path/to/file` },
  ];
  if (repository.kind === 'proxy') return read;
  return [...read, { client: 'curl (upload)', snippet: `curl --fail --upload-file ./file ${baseUrl}/path/to/file` }];
}
