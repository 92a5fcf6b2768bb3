import { silentLogger } from '@entrepot/core';
import { loadConfig } from '../config/load.js';
import type { RepositoryConfig } from '../config/schema.js';
import { configOptions, EXIT, type CommandContext } from './context.js';

/**
 * Prints the index of a hosted Helm repository, as clients get it. The index is read from the storage by a server of
 * this command's own, which listens on the loopback interface until it is done. The regular server may run at the same
 * time.
 */
export async function genIndex(
  repository: string,
  { config: file, tenant = '' }: { readonly config?: string; readonly tenant?: string },
  context: CommandContext,
): Promise<number> {
  const loaded = await loadConfig(configOptions(file, context));
  const { config } = loaded;
  const chosen = config.repositories?.[repository];
  if (!isHostedHelm(chosen)) {
    const known = Object.entries(config.repositories ?? {}).flatMap(([name, one]) => (isHostedHelm(one) ? [name] : []));
    const hint = known.length === 0 ? 'the configuration has none' : `expected one of ${known.join(', ')}`;
    context.writeError(`entrepot: ${JSON.stringify(repository)} is not a hosted repository of type helm; ${hint}`);
    return EXIT.failed;
  }
  // Who may run this command may read the storage: nobody is asked who they are.
  const repositories = {
    [repository]: { ...chosen, enabled: true, listen: undefined, tls: undefined, access: undefined },
  };
  const server = { ...config.server, listen: { host: '127.0.0.1', port: 0 }, tls: undefined };
  const alone = { ...loaded, addBundledRepositories: false, config: { ...config, server, repositories } };
  const host = await context.createHost(alone, { logger: silentLogger });
  try {
    const [listener] = await host.listen();
    const mount = host.repositories[0]?.mount.replace(/\/$/, '') ?? '';
    const path = tenant === '' ? '' : `/${tenant.split('/').map(encodeURIComponent).join('/')}`;
    const reply = await fetch(`${listener?.url}${mount}${path}/index.yaml`);
    const text = (await reply.text()).trimEnd();
    if (reply.ok) context.write(text);
    else context.writeError(`entrepot: ${text}`);
    return reply.ok ? EXIT.ok : EXIT.failed;
  } finally {
    await host.close();
  }
}

function isHostedHelm(repository: RepositoryConfig | undefined): repository is RepositoryConfig {
  return repository?.type === 'helm' && repository.kind === 'hosted';
}
