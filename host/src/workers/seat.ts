import cluster from 'node:cluster';
import { once } from 'node:events';
import type { ClusterPlace } from '../cluster/cluster.js';
import type { ConfigurationProblem } from '../config/configuration-error.js';
import type { ReloadOutcome } from '../config/reload-outcome.js';
import type { LoadedConfig } from '../config/load.js';

/** The place of one worker among those of its machine. */
export interface Seat {
  /** From 0 on. */
  readonly index: number;
  readonly count: number;
  /** The socket at which the others follow it. */
  readonly socket: string;
  /** The secret of these workers, new at each start of their supervisor. */
  readonly secret: string;
  /** The configuration of all of them, as their supervisor has read it. */
  readonly loaded: LoadedConfig;
}

/** Messages between a supervisor and its workers. */
export type WorkerMessage =
  /** A worker wants its seat. */
  | { readonly entrepot: 'seat?' }
  | { readonly entrepot: 'seat'; readonly seat: Seat }
  | { readonly entrepot: 'ready'; readonly guide: string }
  | { readonly entrepot: 'stop' }
  /** A worker is to open another configuration, and then to serve it or not. */
  | { readonly entrepot: 'prepare'; readonly id: number; readonly loaded: LoadedConfig }
  | { readonly entrepot: 'apply' | 'abandon'; readonly id: number }
  /** The worker has done one of these. */
  | { readonly entrepot: 'done'; readonly id: number; readonly problems: readonly ConfigurationProblem[] }
  /** An administrator wants the configuration to be read again. */
  | { readonly entrepot: 'reload?'; readonly id: number }
  | { readonly entrepot: 'reloaded'; readonly id: number; readonly outcome: ReloadOutcome }
  /** A worker wants the metrics of all. */
  | { readonly entrepot: 'metrics?'; readonly id: number }
  | { readonly entrepot: 'collect'; readonly id: number }
  | { readonly entrepot: 'collected'; readonly id: number; readonly metrics: readonly object[] }
  | { readonly entrepot: 'metrics'; readonly id: number; readonly text: string };

/** Whether `message` is one of ours: libraries send others. */
export function isOurs(message: unknown): message is WorkerMessage {
  return typeof message === 'object' && message !== null && 'entrepot' in message;
}

/** Sends a message to the supervisor. */
export function tell(message: WorkerMessage): void {
  process.send?.(message);
}

/** The seat of this process. `undefined`: it is no worker. */
export async function ownSeat(): Promise<Seat | undefined> {
  if (!cluster.isWorker) return undefined;
  for (;;) {
    const next = once(process, 'message') as Promise<[unknown]>;
    tell({ entrepot: 'seat?' });
    const [message] = await next;
    if (isOurs(message) && message.entrepot === 'seat') return message.seat;
  }
}

/** The configuration of one worker: memory and disk that are of a process are divided. */
export function configOfWorker(loaded: LoadedConfig, { index, count }: Seat): LoadedConfig {
  const { cache, storage } = loaded.config;
  const part = (bytes: number): number => Math.floor(bytes / count);
  const ownCache = { ...cache, maxBytes: part(cache.maxBytes), maxEntries: part(cache.maxEntries) };
  const ownStorage =
    storage.backend !== 'filesystem' && storage.cache !== undefined
      ? {
          ...storage,
          cache: { ...storage.cache, path: `${storage.cache.path}/${index}`, maxBytes: part(storage.cache.maxBytes) },
        }
      : storage;
  const spool = { ...storage.spool, maxBytes: part(storage.spool.maxBytes) };
  return { ...loaded, config: { ...loaded.config, cache: ownCache, storage: { ...ownStorage, spool } } };
}

/** Where others follow a worker: those of this machine, and, in a cluster, those of others. */
export function placeOfWorker({ cluster: several }: LoadedConfig['config'], seat: Seat): ClusterPlace {
  const { index, socket, secret } = seat;
  if (several === undefined) return { place: { socket }, address: `unix:${socket}`, secret };
  const { host, port } = several.listen;
  const address = new URL(several.advertise);
  address.port = String(Number(address.port || 80) + index);
  return { place: { host, port: port + index }, address: address.href, secret: several.secret };
}
