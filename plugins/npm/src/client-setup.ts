import type { ClientSetup, ClientSetupContext, SetupStep } from '@entrepot/core';

/** Gives the steps that point npm and its relatives at a repository. */
export function clientSetup({ baseUrl, guarded = false }: ClientSetupContext): readonly ClientSetup[] {
  const { protocol, hostname, host, pathname } = new URL(baseUrl);
  const berry = [`npmRegistryServer: "${baseUrl}"`];
  if (protocol === 'http:') berry.push(`unsafeHttpWhitelist: ["${hostname}"]`);
  if (guarded) berry.push('npmAlwaysAuth: true', 'npmAuthIdent: "USER:PASSWORD"');
  const bun = guarded
    ? `registry = { url = "${baseUrl}/", username = "USER", password = "PASSWORD" }`
    : `registry = "${baseUrl}/"`;
  const setup: ClientSetup[] = [
    { client: 'npm', steps: [command(`npm config set registry ${baseUrl}/`)] },
    { client: 'pnpm', steps: [command(`pnpm config set registry ${baseUrl}/`)] },
    { client: 'yarn 1', steps: [command(`yarn config set registry ${baseUrl}/`)] },
    { client: 'yarn 4', steps: [{ kind: 'file', path: '.yarnrc.yml', text: berry.join('\n') }] },
    { client: 'bun', steps: [{ kind: 'file', path: 'bunfig.toml', text: `[install]\n${bun}` }] },
  ];
  if (!guarded) return setup;
  const key = `//${host}${pathname.replace(/\/$/, '')}/:_auth`;
  const credentials: ClientSetup = {
    client: 'credentials of npm, pnpm and yarn 1',
    steps: [command(`npm config set ${key}=$(printf %s 'USER:PASSWORD' | base64)`)],
  };
  return [credentials, ...setup];
}

function command(text: string): SetupStep {
  return { kind: 'command', text };
}
