import type { CommandContext } from './context.js';

/** Characters of a bar. */
const WIDTH = 30;

/**
 * Shows how far long work is, in one line that is written over and over. Nothing where no person looks.
 * @param context of the command
 */
export function progressLine({ isTerminal, writeProgress }: Pick<CommandContext, 'isTerminal' | 'writeProgress'>) {
  return {
    /** @param total absent: it is not known how much there is */
    show(done: number, total: number | undefined, text: string): void {
      if (!isTerminal) return;
      const part = total === undefined || total === 0 ? undefined : Math.min(1, done / total);
      const full = Math.round((part ?? 0) * WIDTH);
      const bar = part === undefined ? '' : `[${'#'.repeat(full)}${'.'.repeat(WIDTH - full)}] `;
      writeProgress(`${bar}${text}`);
    },
    end(): void {
      if (isTerminal) writeProgress('');
    },
  };
}
