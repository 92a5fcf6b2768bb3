import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { silentLogger } from '@entrepot/core';
import { printSize } from '@entrepot/core/formats';
import { secretFileOf } from '../access/secret-file.js';
import { loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { openBlobs, openDatabaseOf, openStores, placeOf } from '../container/open-stores.js';
import { nameOf } from '../drivers/sql/postgres-settings.js';
import { copyMetadata } from '../space/copy-metadata.js';
import { copyStorage } from '../space/copy-storage.js';
import { configOptions, EXIT, type CommandContext } from './context.js';
import { copySecrets } from './copy-secrets.js';
import { progressLine } from './progress.js';

export interface CopyOptions {
  readonly prepare?: boolean;
}

const UNFINISHED = 'The target is not used yet: stop the servers, and run this again without --prepare';

/** Moves all blobs to the storage of another configuration. */
export async function copyBlobs(
  from: string,
  to: string,
  { prepare = false }: CopyOptions,
  context: CommandContext,
): Promise<number> {
  const [source, target] = [await load(from, context), await load(to, context)];
  // Copies on a local disk are of no use here, and would push out others.
  const stores = await openStores({ ...source, storage: withoutCache(source.storage) }, silentLogger);
  const line = progressLine(context);
  try {
    const blobs = await openBlobs(withoutCache(target.storage), silentLogger);
    try {
      const { amount = 0 } = (await stores.space.usage.usage()).get('') ?? {};
      const { database, clock } = stores;
      const copied = await stoppable(context, (signal) =>
        copyStorage(
          { blobs: stores.blobs, database, clock },
          { blobs, name: placeOf(target.storage) },
          {
            prepare,
            signal,
            progress: (done) =>
              line.show(done.blobs, amount, `${done.blobs} of ${amount} blobs, ${printSize(done.bytes)} copied`),
          },
        ),
      );
      line.end();
      context.write(`copied ${copied.copied} blobs (${printSize(copied.bytes)}) to ${placeOf(target.storage)}`);
      if (copied.missing.length > 0)
        context.writeError(`${copied.missing.length} blobs of entries are missing or damaged; run: entrepot verify`);
      return await end({ source, target, prepare }, context);
    } finally {
      await blobs.dispose();
    }
  } finally {
    line.end();
    await stores.close();
  }
}

/** Moves all tables to the database of another configuration. */
export async function copyTables(
  from: string,
  to: string,
  { prepare = false }: CopyOptions,
  context: CommandContext,
): Promise<number> {
  const [source, target] = [await load(from, context), await load(to, context)];
  const line = progressLine(context);
  const database = await openDatabaseOf(source, silentLogger);
  try {
    const other = await openDatabaseOf(target, silentLogger);
    try {
      const name = databaseOf(target);
      const rows = await stoppable(context, (signal) =>
        copyMetadata(
          database,
          { database: other, name },
          {
            prepare,
            signal,
            progress: ({ rows, total, pass }) =>
              line.show(rows, total, `pass ${pass}: ${rows} of ${total} rows ${pass === 1 ? 'copied' : 'compared'}`),
          },
        ),
      );
      line.end();
      context.write(`copied ${rows} rows to ${name}`);
      return await end({ source, target, prepare }, context);
    } finally {
      await other.destroy();
    }
  } finally {
    line.end();
    await database.destroy();
  }
}

/** Says what comes next. The secrets of the server are beside its stores, and go with them. */
async function end(
  { source, target, prepare }: { readonly source: Config; readonly target: Config; readonly prepare: boolean },
  context: CommandContext,
): Promise<number> {
  if (prepare) context.write(UNFINISHED);
  else {
    await mkdir(path.dirname(secretFileOf(target, '')), { recursive: true, mode: 0o700 });
    await copySecrets(
      (name) => secretFileOf(source, name),
      (name) => secretFileOf(target, name),
    );
    context.write('Start the servers with what is new; with what was before, none starts any more');
  }
  return EXIT.ok;
}

/** Does `work` until a signal ends it. */
async function stoppable<Result>(
  context: CommandContext,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const stopping = new AbortController();
  const forget = context.onSignal(() => stopping.abort());
  try {
    return await work(stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    throw new Error('stopped; the same command goes on where this one was', { cause: error });
  } finally {
    forget();
  }
}

async function load(file: string, context: CommandContext): Promise<Config> {
  return (await loadConfig(configOptions(file, context))).config;
}

function withoutCache(storage: Config['storage']): Config['storage'] {
  return storage.backend === 'filesystem' ? storage : { ...storage, cache: undefined };
}

function databaseOf({ metadata }: Config): string {
  return metadata.backend === 'sqlite' ? metadata.path : nameOf(metadata);
}
