import { setTimeout as pause } from 'node:timers/promises';
import { silentLogger } from '@entrepot/core';
import { parseSize, printSize } from '@entrepot/core/formats';
import { loadConfig } from '../config/load.js';
import { openStores } from '../container/open-stores.js';
import type { LostEntry } from '../space/lost-entries.js';
import type { Verifications, VerificationStatus } from '../space/verification.js';
import { apiClient, instant, NoServerError, type ServerOptions } from './api-client.js';
import { configOptions, EXIT, type CommandContext } from './context.js';
import { progressLine } from './progress.js';
import { wholeNumber } from './whole-number.js';

export interface VerifyCommandOptions extends ServerOptions {
  readonly dryRun?: boolean;
  /** `false`: no upstream is asked. */
  readonly heal?: boolean;
  readonly rate?: string;
  readonly batchSize?: string;
  readonly json?: boolean;
}

/** The rate where none is named. */
const RATE = '50MiB';
/** The first and the longest pause between two looks at a run, in milliseconds. */
const FIRST_LOOK = 20;
const LOOK_INTERVAL = 1_000;

/** A run at a server, or in this process. */
interface Run {
  look(): Promise<VerificationStatus>;
  cancel(): Promise<VerificationStatus>;
  close(): Promise<void>;
}

interface Request {
  readonly dryRun: boolean;
  readonly heal: boolean;
  readonly rate: string;
  readonly batchSize: number | undefined;
}

/** Verifies all blobs: at a running server, which fetches again what is damaged; where none answers, in this process. */
export async function verify(options: VerifyCommandOptions, context: CommandContext): Promise<number> {
  const { dryRun = false, heal = true, rate = RATE, json = false } = options;
  if ((parseSize(rate) ?? 0) <= 0)
    throw new Error(`--rate: expected a size such as 50MiB, found ${JSON.stringify(rate)}`);
  const batchSize = wholeNumber(options.batchSize, '--batch-size');
  const run = await begin(options, { dryRun, heal, rate, batchSize }, context);
  const stopping = new AbortController();
  const forget = context.onSignal(() => stopping.abort());
  const line = progressLine(context);
  try {
    let status = await run.look();
    for (let wait = FIRST_LOOK; status.state === 'running'; wait = Math.min(LOOK_INTERVAL, wait * 2)) {
      const { looked, bytes, total, healed } = status;
      const lost = status.damaged + status.missing;
      line.show(bytes, total.bytes, `${looked} of ${total.amount} blobs, ${lost} damaged or missing, ${healed} healed`);
      await pause(wait, undefined, { signal: stopping.signal }).catch(() => {});
      status = await (stopping.signal.aborted ? run.cancel() : run.look());
    }
    line.end();
    context.write(json ? JSON.stringify(status) : printStatus(status));
    const { hosted, proxied, unreadable, state } = status;
    return state === 'done' && hosted.count + proxied.count + unreadable === 0 ? EXIT.ok : EXIT.failed;
  } finally {
    line.end();
    forget();
    await run.close();
  }
}

async function begin(options: VerifyCommandOptions, request: Request, context: CommandContext): Promise<Run> {
  try {
    return await beginThere(options, request, context);
  } catch (error) {
    // A server that is named is meant.
    if (!(error instanceof NoServerError) || options.server !== undefined) throw error;
    if (request.heal && !request.dryRun)
      context.writeError(
        'no server answers: what is damaged is taken out of the store, and fetched again by a server later',
      );
    return await beginHere(options, request, context);
  }
}

async function beginThere(options: ServerOptions, request: Request, context: CommandContext): Promise<Run> {
  const client = await apiClient(options, context);
  let status = await client.ask<VerificationStatus>('POST', '/verify', request);
  const look = async (): Promise<VerificationStatus> =>
    (status = (await client.ask<Verifications>('GET', '/verify')).asked ?? status);
  return {
    look,
    // It may have ended by itself meanwhile.
    cancel: () => client.ask<VerificationStatus>('DELETE', '/verify').catch(look),
    async close() {},
  };
}

async function beginHere(options: ServerOptions, request: Request, context: CommandContext): Promise<Run> {
  const { config } = await loadConfig(configOptions(options.config, context));
  const { batchSize = config.storage.verify.batchSize, rate, ...others } = request;
  const stores = await openStores(config, silentLogger);
  const { verification } = stores.space;
  try {
    let status = await verification.begin({ ...others, batchSize, rate: parseSize(rate) as number });
    return {
      async look() {
        return (status = verification.status.asked ?? status);
      },
      async cancel() {
        return (status = (await verification.cancel()) ?? status);
      },
      close: () => stores.close(),
    };
  } catch (error) {
    await stores.close();
    throw error;
  }
}

function printStatus(status: VerificationStatus): string {
  const { state, error, dryRun, looked, bytes, damaged, missing, unreadable, healed, hosted, proxied } = status;
  const lines = [
    `verified ${looked} blobs (${printSize(bytes)}): ${damaged} damaged, ${missing} missing`,
    ...(dryRun ? [] : [`healed ${healed}`]),
  ];
  if (unreadable > 0) lines.push(`could not read ${unreadable}`);
  if (hosted.count > 0) lines.push(`lost in hosted repositories until they are uploaded again: ${hosted.count}`);
  lines.push(...hosted.entries.map(printLost));
  if (proxied.count > 0) lines.push(`lost in proxies until an upstream has them: ${proxied.count}`);
  lines.push(...proxied.entries.map(printLost));
  if (state === 'cancelled') lines.push('cancelled before the end');
  if (state === 'failed') lines.push(`failed before the end: ${error}`);
  return lines.join('\n');
}

function printLost({ repository, key, purl, digest, size, storedBy, fetchedAt, condition, reason }: LostEntry): string {
  const what = purl === undefined ? `${repository}/${key}` : `${repository}/${key}  ${purl}`;
  const who = `stored ${instant(fetchedAt)}${storedBy === undefined ? '' : ` by ${storedBy}`}`;
  return `${condition}  ${what}  ${digest}  ${printSize(size)}  ${who}${reason === undefined ? '' : `  ${reason}`}`;
}
