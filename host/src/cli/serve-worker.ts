import { EXIT, type CommandContext } from './context.js';
import { guideText } from './guide.js';
import type { LoadedConfig } from '../config/load.js';
import { configOfWorker, isOurs, ownSeat, placeOfWorker, tell } from '../workers/seat.js';
import { REUSES_PORT } from '../workers/reuse-port.js';
import { WorkerMetrics } from '../workers/worker-metrics.js';

/**
 * Serves as one of several workers, until its supervisor says so. Signals are the supervisor's: a terminal and a service manager send
 * them to all processes.
 */
export async function serveAsWorker(whole: LoadedConfig, context: CommandContext): Promise<number> {
  const forget = context.onSignal(() => {});
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  process.on('message', (message: unknown) => {
    if (isOurs(message) && message.entrepot === 'stop') stop();
  });
  const seat = await ownSeat();
  if (seat === undefined) throw new Error('a worker was expected');
  const host = await context.createHost(configOfWorker(whole, seat), {
    cluster: placeOfWorker(whole.config, seat),
    metrics: (own) => new WorkerMetrics(own),
    reusePort: REUSES_PORT,
  });
  try {
    await host.listen();
    tell({ entrepot: 'ready', guide: guideText(host.guide()) });
    await stopped;
  } finally {
    await host.close();
    forget();
  }
  return EXIT.ok;
}
