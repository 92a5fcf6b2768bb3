import { EXIT, type CommandContext } from './context.js';
import { guideText } from './guide.js';
import { loadWhole } from './load-whole.js';
import { stopSignal } from './stop-signal.js';

/**
 * Serves until a signal comes, then lets running requests end. A second signal ends the process at once. The host
 * itself logs its listeners, repositories and upstreams; on a terminal this prints the next steps.
 */
export async function serve({ config: file }: { readonly config?: string }, context: CommandContext): Promise<number> {
  const loaded = await loadWhole(file, context);
  const stop = stopSignal(context);
  try {
    const host = await context.createHost(loaded);
    try {
      await host.listen();
      if (context.isTerminal && loaded.config.log.format !== 'json') context.write(guideText(host.guide()));
      await stop.first;
    } finally {
      await host.close();
    }
  } finally {
    stop.forget();
  }
  return EXIT.ok;
}
