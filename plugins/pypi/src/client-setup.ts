import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the steps that point pip and its relatives at a repository. */
export function clientSetup({ baseUrl, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { protocol, hostname } = new URL(baseUrl);
  const plain = `${baseUrl}/simple/`;
  const index = guarded ? plain.replace('://', '://USER:PASSWORD@') : plain;
  const isLoopback = hostname === 'localhost' || hostname.startsWith('127.');
  // pip takes plain http from other machines only when it is told so.
  const isTrusted = protocol === 'http:' && !isLoopback;
  const uv = `[[index]]\nurl = "${index}"\ndefault = true`;
  return [
    {
      client: 'pip',
      steps: [
        { kind: 'command', text: `pip config set global.index-url ${index}` },
        ...(isTrusted ? [{ kind: 'command' as const, text: `pip config set global.trusted-host ${hostname}` }] : []),
      ],
    },
    {
      client: 'uv',
      steps: [{ kind: 'file', path: 'uv.toml, or [[tool.uv.index]] in pyproject.toml', text: uv }],
    },
    {
      client: 'poetry',
      steps: [
        { kind: 'command', text: `poetry source add --priority=primary entrepot ${plain}` },
        ...(guarded ? [{ kind: 'command' as const, text: 'poetry config http-basic.entrepot USER PASSWORD' }] : []),
      ],
    },
    { client: 'pdm', steps: [{ kind: 'command', text: `pdm config pypi.url ${index}` }] },
  ];
}
