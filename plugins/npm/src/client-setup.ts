import type { ClientSetup } from '@entrepot/core';

/** How npm and its relatives are pointed at a repository. */
export function clientSetup({ baseUrl }: { readonly baseUrl: string }): readonly ClientSetup[] {
  const { protocol, hostname } = new URL(baseUrl);
  const berry = [`npmRegistryServer: "${baseUrl}"`];
  if (protocol === 'http:') berry.push(`unsafeHttpWhitelist: ["${hostname}"]`);
  return [
    { client: 'npm', snippet: `npm config set registry ${baseUrl}/` },
    { client: 'pnpm', snippet: `pnpm config set registry ${baseUrl}/` },
    { client: 'yarn 1', snippet: `yarn config set registry ${baseUrl}/` },
    { client: 'yarn 4', snippet: `# .yarnrc.yml\n${berry.join('\n')}` },
    { client: 'bun', snippet: `# bunfig.toml\n[install]\nregistry = "${baseUrl}/"` },
  ];
}
