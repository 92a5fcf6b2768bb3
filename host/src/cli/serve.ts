import cluster from 'node:cluster';
import { availableParallelism } from 'node:os';
import type { CommandContext } from './context.js';
import { guideText } from './guide.js';
import { loadWhole } from './load-whole.js';
import { showsGuide } from './shows-guide.js';
import { untilSignal } from './stop-signal.js';

/**
 * Serves until a signal comes, then lets running requests end. The host itself logs its listeners, repositories and upstreams;
 * on a terminal this prints the next steps.
 */
export async function serve({ config: file }: { readonly config?: string }, context: CommandContext): Promise<number> {
  const loaded = await loadWhole(file, context);
  if (cluster.isWorker) return await (await import('./serve-worker.js')).serveAsWorker(loaded, context);
  const { workers } = loaded.config.server;
  const count = workers === 'auto' ? availableParallelism() : workers;
  if (count > 1) return await (await import('./supervise.js')).supervise(count, loaded, context);
  return await untilSignal(context, async (signalled) => {
    const host = await context.createHost(loaded);
    try {
      await host.listen();
      if (showsGuide(loaded, context)) context.write(guideText(host.guide()));
      await signalled;
    } finally {
      await host.close();
    }
  });
}
