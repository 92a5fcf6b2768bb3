import type { ClientSetup, ClientSetupContext, SetupStep } from '@entrepot/core';
import { PUBLIC_KEY } from './hosted/hosted.js';

/** Gives the steps that point apt at a repository, and for one of our own those that put a package into it. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { kind, name } = repository;
  const isHosted = kind === 'hosted';
  const keyring = isHosted ? `/etc/apt/keyrings/${name}.asc` : '/usr/share/keyrings/debian-archive-keyring.gpg';
  const sources = `/etc/apt/sources.list.d/${name}.sources`;
  const { host, pathname } = new URL(baseUrl);
  const source = `Types: deb
URIs: ${baseUrl}
Suites: stable
Components: main
Signed-By: ${keyring}`;
  const password = `machine ${baseUrl.startsWith('http:') ? 'http://' : ''}${host}${pathname}
login USER
password PASSWORD`;
  const login: SetupStep[] = guarded
    ? [{ kind: 'file', path: `/etc/apt/auth.conf.d/${name}.conf`, text: password, needsKey: true }]
    : [];
  const user = guarded ? ' --user USER:PASSWORD' : '';
  const key: SetupStep[] = isHosted
    ? [
        {
          kind: 'command',
          text: `curl --fail --location --create-dirs --output ${keyring}${user} ${baseUrl}/${PUBLIC_KEY}`,
          needsKey: guarded,
        },
      ]
    : [];
  const apt: ClientSetup = {
    client: 'apt',
    steps: [
      ...login,
      ...key,
      { kind: 'file', path: sources, text: source },
      { kind: 'command', text: 'apt-get update' },
    ],
    check: 'apt-cache policy',
    undo: [`rm ${[sources, ...(isHosted ? [keyring] : [])].join(' ')}`],
  };
  if (!isHosted) return [apt];
  const put = `curl --fail --upload-file ./hello_1.0_amd64.deb${user} ${baseUrl}/pool/stable/main/`;
  return [apt, { client: 'curl (upload)', steps: [{ kind: 'command', text: put, needsKey: guarded }] }];
}
