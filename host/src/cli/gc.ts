import { printSize } from '@entrepot/core/formats';
import { loadConfig } from '../config/load.js';
import { openStores } from '../container/open-stores.js';
import { createLogger } from '../log/logger.js';
import type { Collected } from '../space/collector.js';
import { configOptions, EXIT, type CommandContext } from './context.js';
import { progressLine } from './progress.js';
import { wholeNumber } from './whole-number.js';

export interface GcOptions {
  readonly config?: string;
  readonly dryRun?: boolean;
  readonly reconcile?: boolean;
  readonly force?: boolean;
  readonly batchSize?: string;
  readonly json?: boolean;
}

/** Deletes blobs that nobody needs. Servers on the same stores may go on meanwhile. */
export async function gc(options: GcOptions, context: CommandContext): Promise<number> {
  const { dryRun, reconcile, force, json } = options;
  const { config } = await loadConfig(configOptions(options.config, context));
  const batchSize = wholeNumber(options.batchSize, '--batch-size') ?? config.storage.gc.batchSize;
  const stores = await openStores(config, createLogger({ ...config.log, level: 'error' }));
  const stopping = new AbortController();
  const forget = context.onSignal(() => stopping.abort());
  const line = progressLine(context);
  try {
    const { amount = 0 } = (await stores.space.usage.usage()).get('') ?? {};
    const report = await stores.space.collect({
      dryRun,
      reconcile,
      force,
      batchSize,
      signal: stopping.signal,
      progress: (soFar) =>
        line.show(soFar.looked, amount, `${soFar.looked} of ${amount} blobs, ${soFar.deleted.blobs} deleted`),
    });
    line.end();
    context.write(json === true ? JSON.stringify(report) : printReport(report, dryRun === true));
    return EXIT.ok;
  } finally {
    line.end();
    forget();
    await stores.close();
  }
}

function printReport(report: Collected, isDry: boolean): string {
  const { looked, condemned, rescued, deleted, found, left, unfinished, unfinishedLeft } = report;
  const lines = [
    `looked at ${looked} blobs`,
    `${isDry ? 'would condemn' : 'condemned'} ${condemned.blobs} (${printSize(condemned.bytes)}) that nothing points at`,
    ...(isDry ? [] : [`deleted ${deleted.blobs} (${printSize(deleted.bytes)}) that were condemned before`]),
  ];
  if (rescued > 0) lines.push(`kept ${rescued} that are needed again`);
  if (found > 0) lines.push(`found ${found} that the database did not know`);
  if (unfinished > 0)
    lines.push(`${isDry ? 'would remove' : 'removed'} ${unfinished} uploads that were left unfinished a day ago`);
  if (unfinishedLeft !== undefined) lines.push(unfinishedLeft);
  if (left !== undefined) lines.push(left);
  return lines.join('\n');
}
