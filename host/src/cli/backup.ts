import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { printSize } from '@entrepot/core/formats';
import { secretFileOf } from '../access/secret-file.js';
import { loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { openBlobs, openStores } from '../container/open-stores.js';
import { createLogger } from '../log/logger.js';
import { backUp, restore, withoutDeletions, type Backup } from '../space/backup.js';
import { adoptStore } from '../space/belonging.js';
import { SqlMetaStore } from '../drivers/sql/meta-store.js';
import { configOptions, EXIT, type CommandContext } from './context.js';
import { copySecrets } from './copy-secrets.js';
import { progressLine } from './progress.js';

export interface FileOptions {
  readonly config?: string;
}

/** Copies database and blobs into a folder, while servers go on. */
export async function backup(folder: string, options: FileOptions, context: CommandContext): Promise<number> {
  const config = await load(options, context);
  const stores = await openStores(config, loggerOf(config));
  const line = progressLine(context);
  try {
    const to = path.resolve(context.cwd, folder);
    const { database, blobs, space } = stores;
    const { amount = 0 } = (await space.usage.usage()).get('') ?? {};
    const made = await backUp({ database, blobs, leases: space.leases }, to, (done) =>
      line.show(done.blobs, amount, `${done.blobs} blobs, ${printSize(done.bytes)}`),
    );
    await copySecrets(
      (name) => secretFileOf(config, name),
      (name) => path.join(to, name),
    );
    line.end();
    context.write(`backed up ${printBackup(made)} to ${to}`);
    return EXIT.ok;
  } finally {
    line.end();
    await stores.close();
  }
}

/** Brings a backup back where the configuration has nothing yet. */
export async function restoreBackup(folder: string, options: FileOptions, context: CommandContext): Promise<number> {
  const config = await load(options, context);
  const { metadata, storage } = config;
  if (metadata.backend !== 'sqlite')
    throw new Error('only the embedded database is restored by this command; see "Backups" in docs/storage.md');
  await mkdir(path.dirname(metadata.path), { recursive: true, mode: 0o700 });
  const blobs = await openBlobs(storage, loggerOf(config));
  const line = progressLine(context);
  try {
    const from = path.resolve(context.cwd, folder);
    const restored = await restore(from, { database: metadata.path, blobs }, (done) =>
      line.show(done.blobs, undefined, `${done.blobs} blobs, ${printSize(done.bytes)}`),
    );
    await copySecrets(
      (name) => path.join(from, name),
      (name) => secretFileOf(config, name),
    );
    line.end();
    context.write(`restored ${printBackup(restored)}, as they were at ${restored.madeAt}`);
    return EXIT.ok;
  } finally {
    line.end();
    await blobs.dispose();
  }
}

/** Runs a command, such as one that copies a database and a bucket, while nothing is deleted. @returns its exit code */
export async function hold(words: readonly string[], options: FileOptions, context: CommandContext): Promise<number> {
  const config = await load(options, context);
  const stores = await openStores(config, loggerOf(config));
  try {
    return await withoutDeletions(stores.space.leases, (signal) => run(words, signal, context));
  } finally {
    await stores.close();
  }
}

/** Lets the database of the configuration take over its store of blobs. */
export async function adopt(options: FileOptions, context: CommandContext): Promise<number> {
  const config = await load(options, context);
  const stores = await openStores(config, loggerOf(config));
  try {
    const id = await adoptStore(new SqlMetaStore(stores.database), stores.blobs);
    context.write(`the database belongs to the store ${id} from now on`);
    return EXIT.ok;
  } finally {
    await stores.close();
  }
}

async function load({ config: file }: FileOptions, context: CommandContext): Promise<Config> {
  return (await loadConfig(configOptions(file, context))).config;
}

function loggerOf(config: Config) {
  return createLogger({ ...config.log, level: 'error' });
}

async function run(
  [program = '', ...words]: readonly string[],
  signal: AbortSignal,
  context: CommandContext,
): Promise<number> {
  const { cwd } = context;
  const child = spawn(program, words, { cwd, stdio: ['inherit', 'inherit', 'inherit'], signal });
  const forget = context.onSignal((name) => void child.kill(name));
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, killedBy) => {
        if (killedBy === null) resolve(code ?? EXIT.failed);
        else reject(new Error(`${program} was ended by ${killedBy}`));
      });
    });
  } finally {
    forget();
  }
}

function printBackup({ entries, blobs, bytes }: Backup): string {
  return `${entries} entries and ${blobs} blobs (${printSize(bytes)})`;
}
