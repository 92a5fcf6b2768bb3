import type { CommandContext } from './context.js';
import { loadWhole } from './load-whole.js';
import { untilSignal } from './stop-signal.js';

/** Scans what servers on the same database ask for, until a signal comes; then gives back what it is doing. */
export async function scanWorker(
  { config: file }: { readonly config?: string },
  context: CommandContext,
): Promise<number> {
  const loaded = await loadWhole(file, context);
  return await untilSignal(context, async (signalled) => {
    const end = await context.startScanWorker(loaded);
    await signalled;
    await end();
  });
}
