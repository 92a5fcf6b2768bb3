import type { ConfigurationProblem } from '../config/configuration-error.js';
import { didYouMean } from '../config/faults.js';
import { parsePluginOptions } from '../config/plugin-options.js';
import { COMMON_SCANNER_KEYS, type ScannerConfig } from '../config/schema.js';
import { KNOWN_SCANNERS } from '../config/known-packages.js';
import type { LoadedScanner } from '../plugins/load.js';

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
    const known = KNOWN_SCANNERS[type] ?? (/[/@.]/.test(type) ? type : undefined);
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
      if (!failed.has(KNOWN_SCANNERS[config.type] ?? config.type)) {
        const known = [...new Set([...Object.keys(KNOWN_SCANNERS), ...loaded.map((one) => one.plugin.id)])];
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
