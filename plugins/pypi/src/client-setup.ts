import type { ClientSetup } from '@entrepot/core';

/** How pip and its relatives are pointed at a repository. */
export function clientSetup({ baseUrl }: { readonly baseUrl: string }): readonly ClientSetup[] {
  const { protocol, hostname } = new URL(baseUrl);
  const index = `${baseUrl}/simple/`;
  const isLoopback = hostname === 'localhost' || hostname.startsWith('127.');
  const pip = [`pip config set global.index-url ${index}`];
  // pip takes plain http from other machines only when it is told so.
  if (protocol === 'http:' && !isLoopback) pip.push(`pip config set global.trusted-host ${hostname}`);
  return [
    { client: 'pip', snippet: pip.join('\n') },
    {
      client: 'uv',
      snippet: `# uv.toml, or [[tool.uv.index]] in pyproject.toml\n[[index]]\nurl = "${index}"\ndefault = true`,
    },
    { client: 'poetry', snippet: `poetry source add --priority=primary entrepot ${index}` },
    { client: 'pdm', snippet: `pdm config pypi.url ${index}` },
  ];
}
