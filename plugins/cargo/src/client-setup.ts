import type { ClientSetup, ClientSetupContext, SetupStep } from '@entrepot/core';

/** Gives the steps that point cargo at a repository: in place of the public registry, or beside it. */
export function clientSetup({ baseUrl, repository, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { name, kind } = repository;
  const path = '~/.cargo/config.toml';
  // Of a registry that asks for a token to be read, cargo wants this said.
  const provider = guarded ? '[registry]\nglobal-credential-providers = ["cargo:token"]\n\n' : '';
  const registry = `${provider}[registries.${name}]\nindex = "sparse+${baseUrl}/"`;
  const token: SetupStep[] = guarded
    ? [{ kind: 'command', text: `printf %s 'USER:PASSWORD' | cargo login --registry ${name}`, needsKey: true }]
    : [];
  if (kind === 'proxy') {
    const text = `${registry}\n\n[source.crates-io]\nreplace-with = "${name}"`;
    return [{ client: 'cargo', steps: [{ kind: 'file', path, text }, ...token], check: 'cargo fetch' }];
  }
  const publish: SetupStep = { kind: 'command', text: `cargo publish --registry ${name}` };
  return [
    {
      client: 'cargo',
      steps: [{ kind: 'file', path, text: registry }, ...token],
      check: `cargo search --registry ${name} a`,
    },
    { client: 'cargo publish', steps: [publish] },
  ];
}
