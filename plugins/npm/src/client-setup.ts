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
  const byCommand = (client: string, program: string): ClientSetup => ({
    client,
    steps: [command(`${program} config set registry ${baseUrl}/`)],
    undo: [`${program} config delete registry`],
  });
  const setup: ClientSetup[] = [
    { ...byCommand('npm', 'npm'), check: 'npm ping' },
    { ...byCommand('pnpm', 'pnpm'), check: 'pnpm ping' },
    byCommand('yarn 1', 'yarn'),
    { client: 'yarn 4', steps: [{ kind: 'file', path: '.yarnrc.yml', text: berry.join('\n'), needsKey: guarded }] },
    { client: 'bun', steps: [{ kind: 'file', path: 'bunfig.toml', text: `[install]\n${bun}`, needsKey: guarded }] },
  ];
  if (!guarded) return setup;
  const key = `//${host}${pathname.replace(/\/$/, '')}/:_auth`;
  const credentials: ClientSetup = {
    client: 'credentials of npm, pnpm and yarn 1',
    steps: [{ ...command(`npm config set ${key}=$(printf %s 'USER:PASSWORD' | base64)`), needsKey: true }],
    undo: [`npm config delete ${key}`],
  };
  return [credentials, ...setup];
}

function command(text: string): SetupStep {
  return { kind: 'command', text };
}
