import { CLOCK, type Logger } from '@entrepot/core';
import type { ConfigurationProblem } from './config/configuration-error.js';
import type { LoadedConfig } from './config/load.js';
import { createGroundScope } from './container/ground.js';
import { placeOf } from './container/open-stores.js';
import type { Scope } from './container/scope.js';
import { BLOBS, DATABASE, GOVERNANCE, METRICS, ROOT_LOGGER, SPACE, STORAGE } from './container/tokens.js';
import { isIndexLost, lostIndexAdvice } from './drivers/lost-index.js';
import { Edition } from './edition.js';
import { createLogger, SwappableLogger } from './log/logger.js';
import { describe, type HostRepository } from './mount-repositories.js';
import { abandon, prepare, withStarted, type CreateHostOptions } from './prepare-host.js';
import { type Guide, type Host, type NextEdition, ServingHost } from './serving-host.js';
import { startOf } from './space/cleanup.js';
import { watchSpace } from './space/space-metrics.js';
import { watchVerification } from './space/verification-metrics.js';

export type { CreateHostOptions, Guide, Host, HostRepository, NextEdition };

/**
 * Loads the plugins, checks the configuration against them, opens storage and puts the server together.
 * @throws ConfigurationError with everything that is wrong
 */
export async function createHost(loaded: LoadedConfig, options: CreateHostOptions = {}): Promise<Host> {
  const { config } = loaded;
  const own = options.logger === undefined ? new SwappableLogger(createLogger(config.log)) : undefined;
  const logger = own ?? (options.logger as Logger);
  const ground = createGroundScope(config, 'server', logger, options.cluster);
  return await orDispose(ground, async () => {
    const numbers = ground.get(METRICS);
    const { reusePort, reload, wait } = options;
    const metrics = options.metrics?.(numbers) ?? numbers;
    const given = { reusePort, reload, metrics, begunAt: startOf(ground.get(CLOCK)) };
    const edition = await Edition.open(loaded, ground, { ...given, openAt: () => undefined });
    try {
      if (await isIndexLost(ground.get(DATABASE), ground.get(BLOBS)))
        logger.error({}, lostIndexAdvice(placeOf(config.storage)));
      watchGround(ground);
      return new ServingHost(edition, { ground, edition: given, logger: own, wait });
    } catch (error) {
      await abandon(edition.prepared);
      throw error;
    }
  });
}

/** Lists the repositories that `createHost` would serve, and every problem. Opens no storage and no listener. */
export async function checkConfiguration(
  loaded: LoadedConfig,
  options: CreateHostOptions = {},
): Promise<{ readonly repositories: readonly HostRepository[]; readonly problems: readonly ConfigurationProblem[] }> {
  const ground = groundOf(loaded, 'server', options);
  const prepared = await prepare(loaded, ground, 'server');
  await abandon(prepared);
  return { repositories: prepared.served.map(({ plan }) => describe(plan)), problems: prepared.problems };
}

/**
 * Starts a process that runs the scans that servers on the same database request, and updates the databases of
 * scanners. It has the repositories too, to fetch what has to be scanned, but serves nothing.
 * @returns a function that ends it; unfinished scans are given back
 * @throws ConfigurationError with every problem
 */
export async function startScanWorker(
  loaded: LoadedConfig,
  options: CreateHostOptions = {},
): Promise<() => Promise<void>> {
  const ground = groundOf(loaded, 'worker', options);
  return await orDispose(ground, () =>
    withStarted(loaded, ground, 'worker', async ({ root, kept, engines, forgetPlugins }) => {
      ground.get(SPACE).serve(kept, engines);
      root.get(GOVERNANCE).begin();
      const scanners = root.get(GOVERNANCE).scanners.map(({ id }) => id);
      root.get(ROOT_LOGGER).info({ scanners }, 'scanning');
      return async () => {
        await root.dispose();
        forgetPlugins();
        await ground.dispose();
      };
    }),
  );
}

function groundOf({ config }: LoadedConfig, role: 'server' | 'worker', { logger, cluster }: CreateHostOptions): Scope {
  return createGroundScope(config, role, logger ?? createLogger(config.log), cluster);
}

/** Disposes `ground` when `work` fails. */
async function orDispose<T>(ground: Scope, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const logger = ground.get(ROOT_LOGGER);
    await ground
      .dispose()
      .catch((other: unknown) => logger.warn({ err: other }, 'cleaning up after the failed start failed too'));
    throw error;
  }
}

function watchGround(ground: Scope): void {
  const numbers = ground.get(METRICS);
  const storage = ground.get(STORAGE);
  numbers.watch('memoryCacheBytes', () => storage.memoryBytes());
  numbers.watch('spoolBytes', () => storage.spools.used);
  watchVerification(numbers, ground.get(SPACE).verification);
  watchSpace(numbers, ground.get(SPACE).report);
}
