import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the steps that point pacman at a repository. */
export function clientSetup({ baseUrl, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const url = guarded ? baseUrl.replace('://', '://USER:PASSWORD@') : baseUrl;
  return [
    {
      client: 'pacman',
      steps: [
        { kind: 'file', path: '/etc/pacman.d/mirrorlist', text: `Server = ${url}/$repo/os/$arch`, needsKey: guarded },
        { kind: 'command', text: 'pacman -Sy' },
      ],
      check: 'pacman-conf --repo=core Server',
      undo: [],
    },
  ];
}
