import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the steps that point `go` at a repository. `go` asks for its checksum database there, too. */
export function clientSetup({ baseUrl, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const proxy = guarded ? baseUrl.replace('://', '://USER:PASSWORD@') : baseUrl;
  const setup = (client: string, text: string): ClientSetup => ({ client, steps: [{ kind: 'command', text }] });
  return [
    setup('go', `go env -w GOPROXY=${proxy}`),
    setup('go (this shell)', `export GOPROXY=${proxy}`),
    // GOPRIVATE would lead around the repository.
    setup('go, private modules through here', `go env -w GOPROXY=${proxy} GONOSUMDB=corp.example.com/*`),
  ];
}
