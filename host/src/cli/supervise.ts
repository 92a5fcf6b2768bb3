import { constants } from 'node:os';
import { EXIT, type CommandContext } from './context.js';
import { Reloader } from './reloader.js';
import { showsGuide } from './shows-guide.js';
import type { LoadedConfig } from '../config/load.js';
import { createLogger, SwappableLogger } from '../log/logger.js';
import { assertFree, REUSES_PORT } from '../workers/reuse-port.js';
import { Supervisor } from '../workers/supervisor.js';

/** Serves with several workers until a signal comes, then lets running requests end. The second signal ends them at once. */
export async function supervise(
  count: number,
  loaded: LoadedConfig,
  file: string | undefined,
  context: CommandContext,
): Promise<number> {
  if (REUSES_PORT) await assertFree(loaded.config);
  const logger = new SwappableLogger(createLogger(loaded.config.log));
  const reloader = new Reloader({
    context,
    logger,
    current: loaded,
    file,
    async apply(next) {
      await supervisor.apply(next);
      logger.swap(createLogger(next.config.log));
    },
  });
  const supervisor = new Supervisor({ count, loaded, logger, reload: () => reloader.reload() });
  const { promise: signalled, resolve } = Promise.withResolvers<void>();
  let signals = 0;
  const forget = context.onSignal((signal) => {
    signals += 1;
    resolve();
    if (signals === 1) return;
    supervisor.kill();
    context.exit(128 + constants.signals[signal]);
  });
  let forgetHangups = (): void => {};
  try {
    const started = await supervisor.start();
    if ('exitCode' in started) return started.exitCode;
    if (showsGuide(loaded, context)) context.write(started.guide);
    forgetHangups = context.onHangup(() => void reloader.reload());
    await signalled;
    return EXIT.ok;
  } finally {
    forgetHangups();
    reloader.end();
    await supervisor.stop();
    forget();
  }
}
