import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the steps that point apt at a repository. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { name } = repository;
  const { host, pathname } = new URL(baseUrl);
  const source = `Types: deb
URIs: ${baseUrl}
Suites: stable
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg`;
  const password = `machine ${baseUrl.startsWith('http:') ? 'http://' : ''}${host}${pathname}
login USER
password PASSWORD`;
  return [
    {
      client: 'apt',
      steps: [
        ...(guarded
          ? [{ kind: 'file' as const, path: `/etc/apt/auth.conf.d/${name}.conf`, text: password, needsKey: true }]
          : []),
        { kind: 'file', path: `/etc/apt/sources.list.d/${name}.sources`, text: source },
        { kind: 'command', text: 'apt-get update' },
      ],
      check: 'apt-cache policy',
      undo: [`rm /etc/apt/sources.list.d/${name}.sources`],
    },
  ];
}
