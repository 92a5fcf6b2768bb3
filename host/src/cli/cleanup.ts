import { printSize } from '@entrepot/core/formats';
import type { CleanupRun } from '../space/cleanup.js';
import type { CleanupReport } from '../space/cleanup-report.js';
import { apiClient, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';

/** Options of `cleanup`. */
export interface CleanupOptions extends ServerOptions {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/**
 * Has a server apply the rules of its hosted repositories, and prints what they removed.
 * @param repository absent: all that have rules
 * @returns `EXIT.failed` when something could not be removed
 */
export async function cleanup(
  repository: string | undefined,
  { dryRun = false, json = false, ...options }: CleanupOptions,
  context: CommandContext,
): Promise<number> {
  const client = await apiClient(options, context);
  let run = await client.ask<CleanupRun>('POST', '/cleanup', { repository, dryRun });
  while (run.running) {
    // Output that programs read is the report alone.
    if (!json) context.writeError(progressOf(run));
    run = await client.ask<CleanupRun>('GET', `/cleanup/${run.id}`);
  }
  const { reports } = run;
  if (json) context.write(JSON.stringify({ reports }, undefined, 2));
  else if (reports.length === 0) context.write('no repository has rules of cleanup');
  else for (const report of reports) for (const line of linesOf(report)) context.write(line);
  const hasFailed = reports.some(({ error, refused }) => error !== undefined || refused.failed > 0);
  return hasFailed ? EXIT.failed : EXIT.ok;
}

function progressOf({ reports }: CleanupRun): string {
  const report = reports.at(-1);
  if (report === undefined) return 'waiting for another cleanup to end';
  const { repository, looked, removed } = report;
  return `${repository}: looked at ${looked}, removed ${removed} so far`;
}

function* linesOf(report: CleanupReport): Generator<string> {
  const { repository, dryRun, looked, removed, kept, bytes, rules, refused, removals, error } = report;
  const verb = dryRun ? 'would remove' : 'removed';
  for (const { name, version, digest, rule } of removals)
    yield `${verb}  ${repository}  ${name}${version === undefined ? ` (${digest})` : ` ${version}`}  rule ${rule + 1}`;
  if (removed > removals.length) yield `${verb}  ${repository}  ${removed - removals.length} more`;
  yield `${repository}: looked at ${looked}, ${verb} ${removed} (${printSize(bytes)}), ${dryRun ? 'would keep' : 'kept'} ${kept}`;
  for (const [index, { rule, removed: by }] of rules.entries()) yield `  rule ${index + 1} (${rule}): ${by}`;
  const reasons = {
    used: 'used meanwhile',
    changed: 'changed meanwhile',
    needed: 'needed by something else',
    pinned: 'pinned, or with something that is',
    failed: 'could not be removed; the log of the server says why',
  };
  for (const [reason, text] of Object.entries(reasons)) {
    const count = refused[reason as keyof typeof reasons];
    if (count > 0) yield `  ${count} ${text}`;
  }
  if (error !== undefined) yield `  ended early: ${error}`;
}
