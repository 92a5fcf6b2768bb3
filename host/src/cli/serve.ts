import cluster from 'node:cluster';
import { availableParallelism } from 'node:os';
import type { LoadedConfig } from '../config/load.js';
import type { ReloadOutcome } from '../config/reload-outcome.js';
import type { CommandContext } from './context.js';
import { guideText } from './guide.js';
import { loadWhole } from './load-whole.js';
import { Reloader } from './reloader.js';
import { showsGuide } from './shows-guide.js';
import { untilSignal } from './stop-signal.js';

/**
 * Serves until a signal comes, then lets running requests end. The host itself logs its listeners, repositories and upstreams;
 * on a terminal this prints the next steps.
 */
export async function serve({ config: file }: { readonly config?: string }, context: CommandContext): Promise<number> {
  if (cluster.isWorker) return await (await import('./serve-worker.js')).serveAsWorker(context);
  const loaded = await loadWhole(file, context);
  const { workers } = loaded.config.server;
  const count = workers === 'auto' ? availableParallelism() : workers;
  if (count > 1) return await (await import('./supervise.js')).supervise(count, loaded, file, context);
  return await untilSignal(context, async (signalled) => {
    const reload = (): Promise<ReloadOutcome> => reloader.reload();
    const host = await context.createHost(loaded, { reload });
    const apply = async (next: LoadedConfig): Promise<void> => (await host.prepare(next)).apply();
    const reloader = new Reloader({ context, logger: host.logger, current: loaded, file, apply });
    let forget = (): void => {};
    try {
      await host.listen();
      if (showsGuide(loaded, context)) context.write(guideText(host.guide()));
      forget = context.onHangup(() => void reload());
      await signalled;
    } finally {
      forget();
      reloader.end();
      await host.close();
    }
  });
}
