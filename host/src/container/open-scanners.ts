import { LOGGER, TRANSPORT, type Scanner } from '@entrepot/core';
import { ConfigurationError, type ConfigurationProblem } from '../config/configuration-error.js';
import { openTransport } from '../drivers/upstream/open-transport.js';
import { withFields } from '../log/logger.js';
import { createScanner } from '../plugins/create.js';
import { pluginProblem } from '../plugins/problem.js';
import type { ScannerPlan } from '../scanning/plan-scanners.js';
import type { HostScanner } from '../scanning/scan-worker.js';
import type { Scope } from './scope.js';
import { ROOT_LOGGER, TRACING } from './tokens.js';

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
    const tracing = root.get(TRACING);
    const trace: HostScanner['trace'] = tracing && ((subjects, work) => tracing.scan(id, subjects, work));
    scanners.push({ id, scanner, where, timeout: scanTimeout, updateInterval, trace });
  }
  if (problems.length > 0) {
    for (const { scanner } of scanners) await scanner.dispose?.();
    throw new ConfigurationError(problems);
  }
  return scanners;
}
