import type { ClientSetup, ClientSetupContext } from '@entrepot/core';
import { PACKAGES, PUBLIC_KEY, REPODATA } from './hosted/hosted.js';

/** Gives the steps that point dnf and zypper at a repository, and for one of our own those that put a package into it. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { kind, name } = repository;
  const isHosted = kind === 'hosted';
  // Lists that are signed have the sums of packages, which need no signatures of their own then.
  const checks = isHosted
    ? ['gpgcheck=0', 'repo_gpgcheck=1', `gpgkey=${baseUrl}/${REPODATA}/${PUBLIC_KEY}`]
    : ['gpgcheck=1'];
  const lines = [
    `[${name}]`,
    `name=${name}`,
    `baseurl=${baseUrl}/`,
    'enabled=1',
    ...checks,
    ...(guarded ? ['username=USER', 'password=PASSWORD'] : []),
  ];
  const text = lines.join('\n');
  const settings = [
    ['dnf', `/etc/yum.repos.d/${name}.repo`, 'dnf makecache', 'dnf repoinfo'],
    ['zypper', `/etc/zypp/repos.d/${name}.repo`, 'zypper refresh', 'zypper repos -u'],
  ] as const;
  const clients: ClientSetup[] = settings.map(([client, path, command, check]) => ({
    client,
    steps: [
      { kind: 'file', path, text, needsKey: guarded },
      { kind: 'command', text: command },
    ],
    check,
    undo: [`rm ${path}`],
  }));
  if (!isHosted) return clients;
  const user = guarded ? ' --user USER:PASSWORD' : '';
  const put = `curl --fail --upload-file ./hello-1.0-1.noarch.rpm${user} ${baseUrl}/${PACKAGES}/`;
  return [...clients, { client: 'curl (upload)', steps: [{ kind: 'command', text: put, needsKey: guarded }] }];
}
