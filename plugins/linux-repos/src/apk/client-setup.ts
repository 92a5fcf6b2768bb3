import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the steps that point apk at a repository. */
export function clientSetup({ baseUrl, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const url = guarded ? baseUrl.replace('://', '://USER:PASSWORD@') : baseUrl;
  return [
    {
      client: 'apk',
      steps: [
        {
          kind: 'file',
          path: '/etc/apk/repositories',
          text: `${url}/v3.20/main\n${url}/v3.20/community`,
          needsKey: guarded,
        },
        { kind: 'command', text: 'apk update' },
      ],
      check: 'apk policy busybox',
      undo: [],
    },
  ];
}
