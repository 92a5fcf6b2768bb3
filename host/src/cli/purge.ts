import { printSize } from '@entrepot/core/formats';
import type { PurgeStatus } from '../space/purging.js';
import { apiClient, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';
import { progressLine } from './progress.js';
import { whoAmI } from './who-am-i.js';
import { wholeNumber } from './whole-number.js';

export interface PurgeCommandOptions extends ServerOptions {
  readonly dryRun?: boolean;
  readonly hosted?: boolean;
  readonly pinned?: boolean;
  readonly batchSize?: string;
  readonly by?: string;
  readonly json?: boolean;
}

/**
 * Has a server remove what it keeps, so that it is fetched anew. A signal ends it after the batch that it is at.
 * @returns `EXIT.failed` when it did not come to its end
 */
export async function purge(subject: string, options: PurgeCommandOptions, context: CommandContext): Promise<number> {
  const { dryRun, hosted, pinned, json } = options;
  const batchSize = wholeNumber(options.batchSize, '--batch-size');
  const client = await apiClient(options, context);
  const form = { subject, dryRun, hosted, pinned, batchSize, by: whoAmI(options) };
  let status = await client.ask<PurgeStatus>('POST', '/purge', form);
  const path = `/purge/${status.id}`;
  let isCancelled = false;
  const forget = context.onSignal(() => (isCancelled = true));
  const line = progressLine(context);
  try {
    while (status.state === 'running') {
      line.show(status.entries, undefined, `${status.entries} entries`);
      status = await client.ask<PurgeStatus>(isCancelled ? 'DELETE' : 'GET', path);
    }
  } finally {
    line.end();
    forget();
  }
  context.write(json === true ? JSON.stringify(status, undefined, 2) : printStatus(status));
  return status.state === 'done' ? EXIT.ok : EXIT.failed;
}

const REASONS = {
  hosted: 'were uploaded (--hosted removes them)',
  pinned: 'are pinned (--pinned removes them)',
  needed: 'something else needs that stays',
} as const;

function printStatus({ dryRun, entries, blobs, bytes, kept, state, error }: PurgeStatus): string {
  const [removed, deleted] = dryRun ? ['would remove', 'would delete'] : ['removed', 'deleted'];
  const lines = [
    `${removed} ${entries} entries, and ${deleted} ${blobs} blobs (${printSize(bytes)}) that nothing else points at`,
    ...kept.map(({ why, count }) => `kept ${count} that ${REASONS[why]}`),
  ];
  if (state === 'cancelled') lines.push('cancelled before the end');
  if (state === 'failed') lines.push(`failed before the end: ${error}`);
  return lines.join('\n');
}
