import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the steps that point dnf and zypper at a repository. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { name } = repository;
  const lines = [
    `[${name}]`,
    `name=${name}`,
    `baseurl=${baseUrl}/`,
    'enabled=1',
    'gpgcheck=1',
    ...(guarded ? ['username=USER', 'password=PASSWORD'] : []),
  ];
  const text = lines.join('\n');
  const settings = [
    ['dnf', `/etc/yum.repos.d/${name}.repo`, 'dnf makecache', 'dnf repoinfo'],
    ['zypper', `/etc/zypp/repos.d/${name}.repo`, 'zypper refresh', 'zypper repos -u'],
  ] as const;
  return settings.map(([client, path, command, check]) => ({
    client,
    steps: [
      { kind: 'file', path, text, needsKey: guarded },
      { kind: 'command', text: command },
    ],
    check,
    undo: [`rm ${path}`],
  }));
}
