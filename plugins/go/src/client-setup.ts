import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Points `go` at a repository. `go` asks for its checksum database there, too. */
export function clientSetup({ baseUrl, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const proxy = guarded ? baseUrl.replace('://', '://USER:PASSWORD@') : baseUrl;
  return [
    { client: 'go', snippet: `go env -w GOPROXY=${proxy}` },
    { client: 'go (this shell)', snippet: `export GOPROXY=${proxy}` },
    // GOPRIVATE would lead around the repository.
    {
      client: 'go, private modules through here',
      snippet: `go env -w GOPROXY=${proxy} GONOSUMDB=corp.example.com/*`,
    },
  ];
}
