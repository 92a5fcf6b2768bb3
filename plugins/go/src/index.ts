import { CLOCK, defineProtocolPlugin, EntrepotError, LOGGER, TRANSPORT } from '@entrepot/core';
import { CLASSES } from './classes.js';
import { clientSetup } from './client-setup.js';
import { DEFAULT_DATABASE, parseDatabase } from './database-setting.js';
import { DirectModules, requireDirectTools } from './direct.js';
import { discoverUpstreams } from './discover.js';
import { renderError } from './errors.js';
import { goEnvironment } from './go-environment.js';
import { modulePatterns } from './module-match.js';
import { urlPath } from './module-path.js';
import { goOptions, type GoOptions } from './options.js';
import { GoProxy } from './routes.js';
import { createSources } from './sources.js';

export type { GoOptions } from './options.js';

/** Go modules by the GOPROXY protocol, verified with a checksum database. */
export default defineProtocolPlugin({
  id: 'go',
  options: goOptions,
  inject: { logger: LOGGER, transport: TRANSPORT, clock: CLOCK },
  names: { pattern: (pattern) => modulePatterns(pattern).matches },
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: {
    classes: CLASSES,
    async create({ services, options, repository }) {
      const { logger } = services;
      if (options.routes.length > 0) await requireDirectTools();
      const { databases, ...settings } = await complete(options);
      if (databases.length === 0) {
        logger.warn({ repository: repository.name }, 'modules are not verified: the checksum database is off');
      }
      return new GoProxy({
        repository,
        verifiers: databases.map(({ verifier }) => verifier),
        servesDatabases: options.serveSumdb,
        servesIndex: options.index,
        sourceOf: createSources({ repository, hasDatabase: databases.length > 0, ...settings }),
        direct: new DirectModules(options.routes, services, options.processes),
        logger,
      });
    },
    documentPath: ({ name, version }) =>
      `/${urlPath(name)}/@v/${version === undefined ? 'list' : `${urlPath(version)}.zip`}`,
    renderError,
  },
});

/** Completes the options by what `go env` of this machine says. */
async function complete({ sumdb, unverified, private: confidential, routes }: GoOptions) {
  const all = sumdb !== undefined && unverified !== undefined && confidential !== undefined;
  const environment = all ? undefined : await goEnvironment();
  try {
    return {
      databases: sumdb ?? [parseDatabase(environment?.GOSUMDB || DEFAULT_DATABASE) ?? []].flat(),
      unverified: unverified ?? modulePatterns(environment?.GONOSUMDB ?? ''),
      private: confidential ?? modulePatterns(environment?.GONOPROXY ?? ''),
      routes,
    };
  } catch (error) {
    const reason = (error as Error).message;
    throw new EntrepotError('configuration', `go env of this machine: ${reason}; set sumdb, unverified and private`);
  }
}
