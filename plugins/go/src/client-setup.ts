import type { ClientSetup } from '@entrepot/core';

/** How `go` is pointed at a repository. Its checksum database is asked through the repository by itself. */
export function clientSetup({ baseUrl }: { readonly baseUrl: string }): readonly ClientSetup[] {
  return [
    { client: 'go', snippet: `go env -w GOPROXY=${baseUrl}` },
    { client: 'go (this shell)', snippet: `export GOPROXY=${baseUrl}` },
    // GOPRIVATE would lead around the repository.
    {
      client: 'go, private modules through here',
      snippet: `go env -w GOPROXY=${baseUrl} GONOSUMDB=corp.example.com/*`,
    },
  ];
}
