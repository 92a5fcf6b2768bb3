import { silentLogger } from '@entrepot/core';
import { ConfigurationError, printProblem, type ConfigurationProblem } from '../config/configuration-error.js';
import type { LoadedConfig } from '../config/load.js';
import { loadPlugins } from '../plugins/load.js';
import { namedPlugins } from '../container/named-plugins.js';
import { EXIT, type CommandContext } from './context.js';
import { checkCertificates } from './doctor-certificates.js';
import { checkKept } from './doctor-kept.js';
import {
  checkDatabase,
  checkFileSystems,
  checkFolder,
  checkPostgres,
  checkRedis,
  checkStore,
} from './doctor-storage.js';
import { checkUpstream } from './doctor-upstream.js';
import { finding, type Finding } from './finding.js';
import { loadWhole } from './load-whole.js';

/** Checks everything that the server needs, and prints what it found. Fails when one check does. */
export async function doctor(
  { config: file, json = false }: { readonly config?: string; readonly json?: boolean },
  context: CommandContext,
): Promise<number> {
  const findings = await examine(file, context);
  context.write(json ? JSON.stringify(findings, undefined, 2) : printTable(findings));
  return findings.some(({ status }) => status === 'fail') ? EXIT.failed : EXIT.ok;
}

async function examine(file: string | undefined, context: CommandContext): Promise<Finding[]> {
  const findings: Finding[] = [];
  let loaded: LoadedConfig;
  try {
    loaded = await loadWhole(file, context);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map(problemFinding);
  }
  const { storage, metadata, cache } = loaded.config;
  findings.push(finding('ok', 'configuration', loaded.sources.join(', ')));
  findings.push(...(await pluginFindings(loaded)), ...checkCertificates(loaded, Date.now()));
  const folders = [
    storage.backend === 'filesystem'
      ? await checkFolder('storage', storage.path)
      : await checkStore('storage', storage),
    await checkFolder('spool', storage.spool.path),
    metadata.backend === 'sqlite'
      ? await checkDatabase('metadata', metadata.path)
      : await checkPostgres('metadata', metadata),
  ];
  if (metadata.backend === 'sqlite' && folders.every(({ status }) => status !== 'fail'))
    folders.push(...(await checkKept('metadata', storage, metadata.path)));
  findings.push(...folders);
  if (cache.backend === 'redis') findings.push(await checkRedis('cache', cache));
  if (storage.backend === 'filesystem') findings.push(...(await checkFileSystems(storage.path, storage.spool.path)));
  return [...findings, ...(await repositoryFindings(loaded, context))];
}

async function pluginFindings(loaded: LoadedConfig): Promise<Finding[]> {
  const { plugins, scanners, stores, problems } = await loadPlugins(namedPlugins(loaded));
  return [
    ...[...plugins, ...scanners, ...stores].map(
      ({ plugin: { id, apiVersion }, package: name, version = '(no version)', location }) =>
        finding('ok', `plugin ${id}`, `${name} ${version}, plugin API ${apiVersion}, ${location}`),
    ),
    ...problems.map(({ package: name, message }) => finding('fail', `plugin ${name}`, message)),
  ];
}

/** Checks the repositories as `serve` would open them, and asks each of their upstreams. */
async function repositoryFindings(loaded: LoadedConfig, context: CommandContext): Promise<Finding[]> {
  const { repositories, problems } = await context.checkConfiguration(loaded, { logger: silentLogger });
  // Plugins have been reported one by one, and so has the store.
  const others = problems.filter(({ path }) => !/^(plugins|storage)(\.|$)/.test(path));
  const asked = repositories.flatMap((repository) =>
    repository.upstreams.map((upstream) => checkUpstream(repository.name, upstream, loaded, context.env)),
  );
  const findings = [...others.map(problemFinding), ...(await Promise.all(asked)).flat()];
  if (repositories.length > 0 || problems.length > 0) return findings;
  return [finding('warn', 'repositories', 'there are none: nothing is served; add one under repositories')];
}

function problemFinding(problem: ConfigurationProblem): Finding {
  return finding('fail', 'configuration', printProblem(problem));
}

function printTable(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  return findings
    .map(({ status, check, detail }) => `${status.padEnd(4)}  ${check.padEnd(width)}  ${detail}`)
    .join('\n');
}
