import type { ClientSetup, ClientSetupContext } from '@entrepot/core';

/** How npm and its relatives are pointed at a repository. */
export function clientSetup({ baseUrl, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { protocol, hostname, host, pathname } = new URL(baseUrl);
  const berry = [`npmRegistryServer: "${baseUrl}"`];
  if (protocol === 'http:') berry.push(`unsafeHttpWhitelist: ["${hostname}"]`);
  if (guarded) berry.push('npmAlwaysAuth: true', 'npmAuthIdent: "USER:PASSWORD"');
  const bun = guarded
    ? `registry = { url = "${baseUrl}/", username = "USER", password = "PASSWORD" }`
    : `registry = "${baseUrl}/"`;
  const setup: ClientSetup[] = [
    { client: 'npm', snippet: `npm config set registry ${baseUrl}/` },
    { client: 'pnpm', snippet: `pnpm config set registry ${baseUrl}/` },
    { client: 'yarn 1', snippet: `yarn config set registry ${baseUrl}/` },
    { client: 'yarn 4', snippet: `# .yarnrc.yml\n${berry.join('\n')}` },
    { client: 'bun', snippet: `# bunfig.toml\n[install]\n${bun}` },
  ];
  if (!guarded) return setup;
  const place = `//${host}${pathname.replace(/\/$/, '')}/`;
  const credentials = {
    client: 'credentials of npm, pnpm and yarn 1',
    snippet: `npm config set ${place}:_auth=$(printf %s 'USER:PASSWORD' | base64)`,
  };
  return [credentials, ...setup];
}
