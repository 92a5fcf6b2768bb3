import { EXIT, type CommandContext } from './context.js';
import { failureProblems } from './failure-text.js';
import { guideText } from './guide.js';
import type { Host, NextEdition } from '../create-host.js';
import {
  configOfWorker,
  isOurs,
  ownSeat,
  placeOfWorker,
  tell,
  type Seat,
  type WorkerMessage,
} from '../workers/seat.js';
import { REUSES_PORT } from '../workers/reuse-port.js';
import { askForReload } from '../workers/ask-for-reload.js';
import { WorkerMetrics } from '../workers/worker-metrics.js';

/**
 * Serves as one of several workers, until its supervisor says so. Signals are the supervisor's: a terminal and a service manager send
 * them to all processes.
 */
export async function serveAsWorker(context: CommandContext): Promise<number> {
  const forgets = [context.onSignal(() => {}), context.onHangup(() => {})];
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  process.on('message', (message: unknown) => {
    if (isOurs(message) && message.entrepot === 'stop') stop();
  });
  const seat = await ownSeat();
  if (seat === undefined) throw new Error('a worker was expected');
  const host = await context.createHost(configOfWorker(seat.loaded, seat), {
    cluster: placeOfWorker(seat.loaded.config, seat),
    metrics: (own) => new WorkerMetrics(own),
    reload: askForReload,
    reusePort: REUSES_PORT,
  });
  try {
    await host.listen();
    followReloads(host, seat);
    tell({ entrepot: 'ready', guide: guideText(host.guide()) });
    await stopped;
  } finally {
    await host.close();
    for (const forget of forgets) forget();
  }
  return EXIT.ok;
}

/** Prepares the configurations that the supervisor gives, and applies or abandons them when it says so. */
function followReloads(host: Host, seat: Seat): void {
  let next: NextEdition | undefined;
  const follow = async (message: WorkerMessage): Promise<void> => {
    if (message.entrepot === 'prepare') next = await host.prepare(configOfWorker(message.loaded, seat));
    else if (message.entrepot === 'apply') next?.apply();
    else if (message.entrepot === 'abandon') await next?.abandon();
    else return;
    if (message.entrepot !== 'prepare') next = undefined;
    tell({ entrepot: 'done', id: message.id, problems: [] });
  };
  process.on('message', (message: unknown) => {
    if (!isOurs(message)) return;
    follow(message).catch((error: unknown) => {
      if ('id' in message) tell({ entrepot: 'done', id: message.id, problems: failureProblems(error) });
    });
  });
}
