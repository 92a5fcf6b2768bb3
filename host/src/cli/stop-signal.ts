import { constants } from 'node:os';
import { EXIT, type CommandContext } from './context.js';

/** Runs `work` with a promise of the first signal. The second signal ends the process at once. */
export async function untilSignal(
  context: CommandContext,
  work: (signalled: Promise<void>) => Promise<void>,
): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let count = 0;
  const forget = context.onSignal((signal) => {
    count += 1;
    if (count > 1) context.exit(128 + constants.signals[signal]);
    resolve();
  });
  try {
    await work(promise);
  } finally {
    forget();
  }
  return EXIT.ok;
}
