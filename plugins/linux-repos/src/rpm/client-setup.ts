import type { ClientSetup, ClientSetupContext, SetupStep } from '@entrepot/core';
import { PACKAGES, PUBLIC_KEY, REPODATA } from './hosted/hosted.js';

/** Gives the steps that point dnf and zypper at a repository, and for one of our own those that put a package into it. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { kind, name } = repository;
  const isHosted = kind === 'hosted';
  // Lists that are signed have the sums of packages, which need no signatures of their own then.
  const checks = isHosted
    ? ['gpgcheck=0', 'repo_gpgcheck=1', `gpgkey=${baseUrl}/${REPODATA}/${PUBLIC_KEY}`]
    : ['gpgcheck=1'];
  const sectionOf = (url: string, login: readonly string[] = []): string =>
    [`[${name}]`, `name=${name}`, `baseurl=${url}`, 'enabled=1', ...checks, ...login].join('\n');
  const dnf = `/etc/yum.repos.d/${name}.repo`;
  const zypper = `/etc/zypp/repos.d/${name}.repo`;
  // zypper reads no password in a file of a repository.
  const credentials = `/etc/zypp/credentials.d/${name}`;
  const dnfLogin = guarded ? ['username=USER', 'password=PASSWORD'] : [];
  const zypperLogin: SetupStep[] = guarded
    ? [{ kind: 'file', path: credentials, text: 'username=USER\npassword=PASSWORD', needsKey: true }]
    : [];
  const zypperUrl = `${baseUrl}/${guarded ? `?credentials=${name}` : ''}`;
  const clients: ClientSetup[] = [
    {
      client: 'dnf',
      steps: [
        { kind: 'file', path: dnf, text: sectionOf(`${baseUrl}/`, dnfLogin), needsKey: guarded },
        { kind: 'command', text: 'dnf makecache' },
      ],
      check: 'dnf repoinfo',
      undo: [`rm ${dnf}`],
    },
    {
      client: 'zypper',
      steps: [
        ...zypperLogin,
        { kind: 'file', path: zypper, text: sectionOf(zypperUrl) },
        { kind: 'command', text: 'zypper refresh' },
      ],
      check: 'zypper repos -u',
      undo: [`rm ${[zypper, ...(guarded ? [credentials] : [])].join(' ')}`],
    },
  ];
  if (!isHosted) return clients;
  const user = guarded ? ' --user USER:PASSWORD' : '';
  const put = `curl --fail --upload-file ./hello-1.0-1.noarch.rpm${user} ${baseUrl}/${PACKAGES}/`;
  return [...clients, { client: 'curl (upload)', steps: [{ kind: 'command', text: put, needsKey: guarded }] }];
}
