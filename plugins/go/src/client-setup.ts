import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the steps that point `go` at a repository. `go` asks for its checksum database there, too. */
export function clientSetup({ baseUrl, guarded: needsKey = false }: ClientSetupContext): readonly ClientSetup[] {
  const proxy = needsKey ? baseUrl.replace('://', '://USER:PASSWORD@') : baseUrl;
  return [
    {
      client: 'go',
      steps: [{ kind: 'command', text: `go env -w GOPROXY=${proxy}`, needsKey }],
      check: 'go list -m -versions golang.org/x/text',
      undo: ['go env -u GOPROXY'],
    },
    {
      client: 'go (this shell)',
      steps: [{ kind: 'command', text: `export GOPROXY=${proxy}`, needsKey }],
      undo: ['unset GOPROXY'],
    },
    // GOPRIVATE would lead around the repository.
    {
      client: 'go, private modules through here',
      steps: [{ kind: 'command', text: `go env -w GOPROXY=${proxy} GONOSUMDB=corp.example.com/*`, needsKey }],
      undo: ['go env -u GOPROXY GONOSUMDB'],
    },
  ];
}
