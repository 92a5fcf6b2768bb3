import {
  EntrepotError,
  type AnyDeclaredPlugin,
  type BlobStore,
  type BlobStorePlugin,
  type Logger,
  type ProtocolInstance,
  type RepositoryFacts,
  type Scanner,
  type ScannerPlugin,
  type Token,
} from '@entrepot/core';
import type { AnySide } from '@entrepot/core/engine';
import { checkProtocol, checkScanner, checkStore } from './check.js';
import { oneLine, PluginFault, within, type Mismatch } from './problem.js';

/** The longest time of a plugin's `create`; milliseconds. It opens what it needs, and fetches nothing. */
const CREATE_TIMEOUT = 10_000;
/** The same for a store, which loads the client of its store and tries what it needs; milliseconds. */
const STORE_TIMEOUT = 60_000;
/** Time until a warning that `create` has not returned; milliseconds. */
const PATIENCE = 2_000;

/** Looks services up by their tokens. */
export interface ServiceLookup {
  get<T>(token: Token<T>): T;
}

export interface CreateProtocolOptions {
  readonly plugin: Pick<AnyDeclaredPlugin, 'id' | 'inject'>;
  /** The side of the plugin for the kind of the repository. */
  readonly side: Pick<AnySide, 'create'>;
  /** The repository's scope: only the services that the plugin named are taken from it. */
  readonly scope: ServiceLookup;
  /** As the plugin's schema returned them. */
  readonly options: unknown;
  readonly repository: RepositoryFacts;
  /** The longest time of `create`, in milliseconds. */
  readonly timeout?: number | undefined;
  /** Receives a warning when it takes long. */
  readonly logger?: Logger | undefined;
}

/**
 * The made protocol or scanner, or the reason that there is none: `mismatches` are faults of the plugin, `refusal` is
 * the plugin's refusal of its options.
 */
export type CreateResult<Made> =
  | { readonly made: Made }
  | { readonly made?: undefined; readonly mismatches: readonly Mismatch[]; readonly refusal?: undefined }
  | { readonly made?: undefined; readonly mismatches?: undefined; readonly refusal: string };

/** Makes a plugin's protocol for one repository, or says why it could not. */
export async function createProtocol({
  plugin,
  side,
  scope,
  options,
  repository,
  timeout = CREATE_TIMEOUT,
  logger,
}: CreateProtocolOptions): Promise<CreateResult<ProtocolInstance>> {
  const services = servicesOf(plugin, scope);
  const waiting = (): void =>
    logger?.warn({ plugin: plugin.id, repository: repository.name }, 'waiting for a plugin to make its protocol');
  return create('protocol', checkProtocol, { timeout, waiting }, async () =>
    side.create({ services, options, repository }),
  );
}

/** Makes a plugin's scanner, or says why it could not. */
export async function createScanner(
  plugin: ScannerPlugin,
  scope: ServiceLookup,
  options: unknown,
  { timeout = CREATE_TIMEOUT, logger }: Pick<CreateProtocolOptions, 'timeout' | 'logger'> = {},
): Promise<CreateResult<Scanner>> {
  const services = servicesOf(plugin, scope);
  const waiting = (): void => logger?.warn({ plugin: plugin.id }, 'waiting for a plugin to make its scanner');
  return create('scanner', checkScanner, { timeout, waiting }, async () => plugin.create({ services, options }));
}

/** Opens the store of a plugin, or says why it could not. */
export async function createStore(
  plugin: BlobStorePlugin,
  scope: ServiceLookup,
  options: unknown,
  { timeout = STORE_TIMEOUT, logger }: Pick<CreateProtocolOptions, 'timeout' | 'logger'> = {},
): Promise<CreateResult<BlobStore>> {
  const services = servicesOf(plugin, scope);
  const waiting = (): void => logger?.warn({ plugin: plugin.id }, 'waiting for a plugin to open its store');
  return create('store', checkStore, { timeout, waiting }, async () => plugin.create({ services, options }));
}

function servicesOf(
  { inject }: Pick<AnyDeclaredPlugin, 'inject'>,
  scope: ServiceLookup,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(inject).map(([name, token]) => [name, scope.get(token)]));
}

/** @param make in a promise, so that a throw and a rejection are one thing */
async function create<Made>(
  what: string,
  check: (made: unknown) => Mismatch[],
  { timeout, waiting }: { readonly timeout: number; readonly waiting: () => void },
  make: () => Promise<Made>,
): Promise<CreateResult<Made>> {
  const patience = setTimeout(waiting, PATIENCE);
  try {
    const late = {
      found: `create still running after ${timeout} ms`,
      wanted: `create to make a ${what}, and every promise that it waits for to settle`,
    };
    const made = await within(timeout, make(), () => new PluginFault(late));
    const mismatches = check(made);
    return mismatches.length > 0 ? { mismatches } : { made };
  } catch (error) {
    if (error instanceof PluginFault) return { mismatches: [error] };
    if (error instanceof EntrepotError && (error as EntrepotError).kind === 'configuration') {
      return { refusal: (error as EntrepotError).message };
    }
    return { mismatches: [{ found: `an error from create: ${oneLine(error)}`, wanted: `create to make a ${what}` }] };
  } finally {
    clearTimeout(patience);
  }
}
