import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** How pip and its relatives are pointed at a repository. */
export function clientSetup({ baseUrl, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { protocol, hostname } = new URL(baseUrl);
  const plain = `${baseUrl}/simple/`;
  const index = guarded ? plain.replace('://', '://USER:PASSWORD@') : plain;
  const isLoopback = hostname === 'localhost' || hostname.startsWith('127.');
  const pip = [`pip config set global.index-url ${index}`];
  // pip takes plain http from other machines only when it is told so.
  if (protocol === 'http:' && !isLoopback) pip.push(`pip config set global.trusted-host ${hostname}`);
  const poetry = [`poetry source add --priority=primary entrepot ${plain}`];
  if (guarded) poetry.push('poetry config http-basic.entrepot USER PASSWORD');
  return [
    { client: 'pip', snippet: pip.join('\n') },
    {
      client: 'uv',
      snippet: `# uv.toml, or [[tool.uv.index]] in pyproject.toml\n[[index]]\nurl = "${index}"\ndefault = true`,
    },
    { client: 'poetry', snippet: poetry.join('\n') },
    { client: 'pdm', snippet: `pdm config pypi.url ${index}` },
  ];
}
