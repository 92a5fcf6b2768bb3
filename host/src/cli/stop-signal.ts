import { constants } from 'node:os';
import type { CommandContext } from './context.js';

/** A promise of the first signal. The second one does not wait for anything. */
export function stopSignal(context: CommandContext): { readonly first: Promise<void>; forget(): void } {
  let stop = (): void => {};
  const first = new Promise<void>((resolve) => {
    stop = resolve;
  });
  let count = 0;
  const forget = context.onSignal((signal) => {
    count += 1;
    if (count > 1) context.exit(128 + constants.signals[signal]);
    stop();
  });
  return { first, forget };
}
