import { LOGGER, TRANSPORT, type Scanner } from '@entrepot/core';
import type { PolicyScanner } from '@entrepot/core/engine';
import { ConfigurationError, type ConfigurationProblem } from '../config/configuration-error.js';
import { didYouMean } from '../config/faults.js';
import { parsePluginOptions } from '../config/plugin-options.js';
import { COMMON_SCANNER_KEYS, type ScannerConfig } from '../config/schema.js';
import type { Scope } from '../container/scope.js';
import { ROOT_LOGGER } from '../container/tokens.js';
import { openTransport } from '../drivers/upstream/open-transport.js';
import { withFields } from '../logger.js';
import { BUNDLED_SCANNERS } from '../plugins/bundled.js';
import { createScanner } from '../plugins/create.js';
import type { LoadedScanner } from '../plugins/load.js';
import { pluginProblem } from '../plugins/problem.js';
import type { HostScanner } from './scan-worker.js';

/** A scanner as it will be used: the configuration, checked by its plugin. */
export interface ScannerPlan {
  readonly id: string;
  readonly config: ScannerConfig;
  readonly loaded: LoadedScanner;
  /** As the plugin's schema returned them. */
  readonly options: unknown;
}

/** The packages of scanners that `scanners` names besides those among the plugins. */
export function scannerPackages(scanners: readonly ScannerConfig[], plugins: readonly string[]): string[] {
  return scanners.flatMap(({ type }) => {
    const known = BUNDLED_SCANNERS[type] ?? (/[/@.]/.test(type) ? type : undefined);
    return known === undefined || plugins.includes(known) ? [] : [known];
  });
}

/**
 * Completes and checks every scanner of the configuration.
 * @param failed the plugins that could not be loaded: those have been reported
 */
export async function planScanners(
  configured: readonly ScannerConfig[],
  loaded: readonly LoadedScanner[],
  failed: ReadonlySet<string>,
): Promise<{ readonly plans: readonly ScannerPlan[]; readonly problems: readonly ConfigurationProblem[] }> {
  const plans: ScannerPlan[] = [];
  const problems: ConfigurationProblem[] = [];
  for (const [index, config] of configured.entries()) {
    const path = `scanners.${index}`;
    const plugin = loaded.find((one) => one.plugin.id === config.type || one.package === config.type);
    if (plugin === undefined) {
      if (!failed.has(BUNDLED_SCANNERS[config.type] ?? config.type)) {
        const known = [...new Set([...Object.keys(BUNDLED_SCANNERS), ...loaded.map((one) => one.plugin.id)])];
        const message = `unknown type ${JSON.stringify(config.type)}; ${didYouMean(config.type, known)}, or the package of a scanner`;
        problems.push({ path: `${path}.type`, message });
      }
      continue;
    }
    const id = config.name ?? plugin.plugin.id;
    if (plans.some((other) => other.id === id)) {
      problems.push({ path: `${path}.name`, message: `there is a scanner ${id} already; expected a name of its own` });
    }
    const { options, problems: wrong } = await parsePluginOptions(
      ['scanners', String(index)],
      plugin.plugin.options,
      config.options,
      COMMON_SCANNER_KEYS,
    );
    if (wrong === undefined) plans.push({ id, config, loaded: plugin, options });
    else problems.push(...wrong);
  }
  return { plans, problems };
}

/**
 * Makes the scanners. Each has a scope of its own below `root`, which ends it.
 * @throws ConfigurationError for plugins that cannot
 */
export async function openScanners(root: Scope, plans: readonly ScannerPlan[]): Promise<readonly HostScanner[]> {
  const problems: ConfigurationProblem[] = [];
  const scanners: HostScanner[] = [];
  for (const { id, config, loaded, options } of plans) {
    const scope = root.child(`scanner-${id}`);
    scope.value(LOGGER, withFields(root.get(ROOT_LOGGER), { scanner: id }));
    scope.single(TRANSPORT, {}, () => openTransport(config.transport));
    const result = await createScanner(loaded.plugin, scope, options, { logger: scope.get(LOGGER) });
    if (result.made === undefined) {
      problems.push(
        ...(result.mismatches?.map((mismatch) =>
          pluginProblem('scanners', loaded.package, loaded.location, mismatch),
        ) ?? [{ path: 'scanners', message: `${id}: ${result.refusal ?? ''}` }]),
      );
      continue;
    }
    const scanner: Scanner = result.made;
    const { where, scanTimeout, updateInterval } = config;
    scanners.push({ id, scanner, where, timeout: scanTimeout, updateInterval });
  }
  if (problems.length > 0) {
    for (const { scanner } of scanners) await scanner.dispose?.();
    throw new ConfigurationError(problems);
  }
  return scanners;
}

/** As policy asks them. */
export function policyScanners(scanners: readonly HostScanner[]): readonly PolicyScanner[] {
  return scanners.map(({ id, scanner }) => ({ id, scanner }));
}
