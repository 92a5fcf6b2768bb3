import { isRecord } from '@entrepot/core/formats';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { folderBeside } from './beside-blobs.js';
import { ConfigurationError, type ConfigurationProblem } from './configuration-error.js';
import type { Distribution } from './distribution.js';
import { applyEnvironment } from './environment.js';
import { applyDefaults, dataFolder } from './environment-defaults.js';
import { readYamlFile } from './files.js';
import { expandReferences } from './references.js';
import type { Config, ParsedConfig } from './schema.js';
import { plainSecretProblems } from './plain-secrets.js';
import { proxyProblems } from './proxy-variables.js';
import { validateConfig } from './validate.js';

/** The name of the configuration that holds without a file. */
export const BUILT_IN = 'built-in default';

const DEFAULT_FILE = 'entrepot.yaml';

export interface LoadConfigOptions {
  /** The file. Absent: `ENTREPOT_CONFIG`, else `entrepot.yaml` in `cwd` if there is one, else the built-in default. */
  readonly file?: string | undefined;
  /** The environment; `ENTREPOT_*` overrides keys of the file. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The plugins that come with the program. Absent: none. */
  readonly distribution?: Distribution | undefined;
}

/** The configuration, ready to use, and where it comes from. */
export interface LoadedConfig {
  /** Paths of folders and files in it are absolute. */
  readonly config: Config;
  /** The file (or `built-in default`), then the environment variables that changed something. */
  readonly sources: readonly string[];
  /** Absent: the built-in default. */
  readonly file?: string | undefined;
  /** The folder from which relative paths and plugins are resolved: the file's, or the current one. */
  readonly directory: string;
  /**
   * Whether one repository for each bundled plugin whose upstream is known belongs to the configuration, besides those
   * that variables speak of: neither the file nor `ENTREPOT_REPOSITORIES` says which repositories there are.
   */
  readonly addBundledRepositories: boolean;
  /** The plugins that come with the program. Absent: none. */
  readonly distribution?: Distribution | undefined;
}

/** A configuration as it was read, and everything that is wrong with it by itself. */
export interface ReadConfig {
  /** Without what is wrong, for further checks. Absent: nothing could be read. */
  readonly loaded?: LoadedConfig | undefined;
  readonly problems: readonly ConfigurationProblem[];
}

/**
 * Reads the configuration: the file, overridden by the environment, references to secrets filled in, validated.
 * @throws ConfigurationError with everything that is wrong.
 */
export async function loadConfig(options: LoadConfigOptions): Promise<LoadedConfig> {
  const { loaded, problems } = readConfig(options);
  if (loaded === undefined || problems.length > 0) throw new ConfigurationError(problems);
  return loaded;
}

/** Reads the configuration as `loadConfig` does, and what is right of it also where something is wrong. */
export function readConfig({ file, env, cwd, distribution }: LoadConfigOptions): ReadConfig {
  const found = configurationFile({ file, env, cwd });
  const directory = found === undefined ? cwd : path.dirname(found);
  const { value: written, problems: malformed } =
    found === undefined
      ? { value: {}, problems: [] }
      : readYamlFile(found, 'configuration file', shortPath(found, cwd));
  if (malformed.length > 0) return { problems: malformed };

  const overridden = applyEnvironment(written, env, Object.keys(distribution?.formats ?? {}));
  const { tree, variables } = applyDefaults(overridden.tree, env, overridden.variables);
  const expanded = expandReferences(tree, { env, directory });
  const { config, problems: invalid } = validateConfig(expanded.tree);
  const all = [
    ...overridden.problems,
    ...proxyProblems(env),
    ...plainSecretProblems(written),
    ...expanded.problems,
    // Of a value that could not be filled in, what the schema thinks of what stands there is noise.
    ...invalid.filter((problem) => !expanded.problems.some((reported) => reported.path === problem.path)),
  ];
  const problems = nameVariables(all, variables);
  if (config === undefined) return { problems };
  const loaded = {
    config: withAbsolutePaths(config, directory, dataFolder(env, directory), distribution),
    sources: [found ?? BUILT_IN, ...new Set(variables.values())],
    file: found,
    directory,
    addBundledRepositories: written['repositories'] === undefined && !variables.has('repositories'),
    distribution,
  };
  return { loaded, problems };
}

function configurationFile({ file, env, cwd }: LoadConfigOptions): string | undefined {
  const named = file ?? (env['ENTREPOT_CONFIG'] || undefined);
  if (named !== undefined) return path.resolve(cwd, named);
  const usual = path.join(cwd, DEFAULT_FILE);
  return existsSync(usual) ? usual : undefined;
}

/** Says which problems come from a variable and not from the file. */
function nameVariables(
  problems: readonly ConfigurationProblem[],
  variables: ReadonlyMap<string, string>,
): ConfigurationProblem[] {
  return problems.map((problem) => {
    const variable = [...variables].find(([key]) => problem.path === key || problem.path.startsWith(`${key}.`))?.[1];
    return variable === undefined ? problem : { ...problem, message: `${problem.message} (set by ${variable})` };
  });
}

/** The keys that hold paths; `*` stands for every name. */
const PATHS = [
  'server.tls.cert',
  'server.tls.key',
  'server.tls.ca',
  'server.home.file',
  'storage.path',
  'storage.spool.path',
  'storage.cache.path',
  'metadata.path',
  'metadata.tls.ca',
  'cache.ca',
  'log.file',
  'admin.jwt.keyFile',
  'policy.file',
  'audit.file',
  'repositories.*.tls.cert',
  'repositories.*.tls.key',
  'repositories.*.tls.ca',
  'repositories.*.access.htpasswd',
  'repositories.*.access.jwt.keyFile',
];

function withAbsolutePaths(
  config: ParsedConfig,
  directory: string,
  data: string,
  distribution: Distribution | undefined,
): Config {
  let tree: unknown = config;
  for (const key of PATHS) tree = withAbsolute(tree, key.split('.'), directory);
  const { storage, ...others } = tree as ParsedConfig;
  const beside = storage.backend === 'filesystem' ? folderBeside(storage.path) : data;
  const { path: spool = path.join(beside, 'spool') } = storage.spool;
  const pluginsFrom = { folder: directory, plugins: config.plugins, distribution };
  return { ...others, storage: { ...storage, spool: { ...storage.spool, path: spool }, pluginsFrom } };
}

/** A copy of `value` in which the path at `keys` is absolute, if there is one. */
function withAbsolute(value: unknown, [key, ...below]: readonly string[], directory: string): unknown {
  if (key === undefined) return typeof value === 'string' ? path.resolve(directory, value) : value;
  if (!isRecord(value)) return value;
  const keys = Object.keys(value).filter((one) => key === '*' || one === key);
  return { ...value, ...Object.fromEntries(keys.map((one) => [one, withAbsolute(value[one], below, directory)])) };
}

function shortPath(file: string, cwd: string): string {
  const relative = path.relative(cwd, file);
  return relative.startsWith('..') ? file : relative;
}
