import type { Pin } from '../drivers/sql/pin-store.js';
import { apiClient, instant, queryOf, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';
import { printAnswer } from './print-answer.js';
import { printTable } from './table.js';
import { whoAmI } from './who-am-i.js';

/** Options of the commands for pins. Each has those that it needs. */
export interface PinOptions extends ServerOptions {
  readonly note?: string;
  readonly by?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export async function pin(subject: string, options: PinOptions, context: CommandContext): Promise<number> {
  const { note, dryRun } = options;
  const client = await apiClient(options, context);
  const made = await client.ask<Pin>('POST', '/pins', { subject, note, dryRun, by: whoAmI(options) });
  printAnswer(
    made,
    [dryRun === true ? `would pin ${made.subject}` : `pinned ${made.subject} (${made.id})`],
    options,
    context,
  );
  return EXIT.ok;
}

/** Removes a pin. @param which its id, or its subject */
export async function unpin(which: string, options: PinOptions, context: CommandContext): Promise<number> {
  const { dryRun } = options;
  const client = await apiClient(options, context);
  const { pins } = await client.ask<{ readonly pins: readonly Pin[] }>('GET', '/pins');
  const found = pins.find(({ id, subject }) => id === which || subject === which);
  if (found === undefined) throw new Error(`there is no pin ${which}; entrepot pins lists those that there are`);
  const query = queryOf({ dryRun: dryRun === true ? 'true' : undefined });
  await client.ask('DELETE', `/pins/${encodeURIComponent(found.id)}${query}`);
  printAnswer(found, [`${dryRun === true ? 'would unpin' : 'unpinned'} ${found.subject}`], options, context);
  return EXIT.ok;
}

export async function listPins(options: PinOptions, context: CommandContext): Promise<number> {
  const client = await apiClient(options, context);
  const answer = await client.ask<{ readonly pins: readonly Pin[] }>('GET', '/pins');
  const rows = answer.pins.map(({ id, subject, madeAt, madeBy = '', note = '' }) => [
    subject,
    id,
    instant(madeAt),
    madeBy,
    note,
  ]);
  const table = printTable(['subject', 'id', 'since', 'by', 'note'], rows);
  printAnswer(answer, [rows.length === 0 ? 'nothing is pinned' : table], options, context);
  return EXIT.ok;
}
