import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** Gives the steps that point pip and its relatives at a repository. */
export function clientSetup({ baseUrl, guarded: needsKey = false }: ClientSetupContext): readonly ClientSetup[] {
  const { protocol, hostname } = new URL(baseUrl);
  const plain = `${baseUrl}/simple/`;
  const index = needsKey ? plain.replace('://', '://USER:PASSWORD@') : plain;
  const isLoopback = hostname === 'localhost' || hostname.startsWith('127.');
  // pip takes plain http from other machines only when it is told so.
  const isTrusted = protocol === 'http:' && !isLoopback;
  const uv = `[[index]]\nurl = "${index}"\ndefault = true`;
  return [
    {
      client: 'pip',
      steps: [
        { kind: 'command', text: `pip config set global.index-url ${index}`, needsKey },
        ...(isTrusted ? [{ kind: 'command' as const, text: `pip config set global.trusted-host ${hostname}` }] : []),
      ],
      check: 'pip index versions pip',
      undo: ['pip config unset global.index-url', ...(isTrusted ? ['pip config unset global.trusted-host'] : [])],
    },
    {
      client: 'uv',
      steps: [{ kind: 'file', path: 'uv.toml, or [[tool.uv.index]] in pyproject.toml', text: uv, needsKey }],
    },
    {
      client: 'poetry',
      steps: [
        { kind: 'command', text: `poetry source add --priority=primary entrepot ${plain}` },
        ...(needsKey
          ? [{ kind: 'command' as const, text: 'poetry config http-basic.entrepot USER PASSWORD', needsKey }]
          : []),
      ],
      undo: ['poetry source remove entrepot'],
    },
    {
      client: 'pdm',
      steps: [{ kind: 'command', text: `pdm config pypi.url ${index}`, needsKey }],
      undo: ['pdm config --delete pypi.url'],
    },
  ];
}
