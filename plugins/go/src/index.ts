import { CLOCK, defineProtocolPlugin, EntrepotError, LOGGER, TRANSPORT } from '@entrepot/core';
import { ChecksumDatabase } from './checksum-database.js';
import { clientSetup } from './client-setup.js';
import { DEFAULT_DATABASE, parseDatabase, type DatabaseSetting } from './database-setting.js';
import { DirectModules, requireDirectTools } from './direct.js';
import { discoverUpstreams } from './discover.js';
import { describeDated, describeVersions, versionOf } from './dates.js';
import { readInfo, readList, rewriteLatest, rewriteList } from './documents.js';
import { renderError } from './errors.js';
import { goEnvironment } from './go-environment.js';
import { HashPool } from './hash-pool.js';
import { LARGEST_PROOF, LARGEST_TILE } from './limits.js';
import { modulePatterns } from './module-match.js';
import { urlPath } from './module-path.js';
import { verifyModuleFile } from './module-verifier.js';
import { goOptions, type GoOptions } from './options.js';
import { CLASS, createRoutes, datedVersion } from './routes.js';
import { createSources } from './sources.js';
import { parseTilePath } from './tile.js';

export type { GoOptions } from './options.js';

const MINUTE = 60_000;
/**
 * A version that was just tagged may be asked for before the upstream knows it. `go` looks for a package in every module
 * that its path could be in, and an outage for one that does not exist would end it.
 */
const ABSENT = { negativeFor: 30_000, negativeIfError: 7 * 24 * 60 * MINUTE } as const;
/** A private name may have come to be while its upstream was down; a 404 would send clients elsewhere for it. */
const PRIVATELY_ABSENT = { ...ABSENT, negativeIfError: 0 } as const;
const SHORT = 'public, max-age=60';
const FOR_EVER = 'public, max-age=31536000, immutable';

/** What changes upstream at any time, and is asked for by every `go get`. */
const MUTABLE = {
  policy: 'revalidate',
  freshFor: MINUTE,
  staleWhileRevalidate: 5 * MINUTE,
} as const;

/** Go modules by the GOPROXY protocol, verified with a checksum database. */
export default defineProtocolPlugin({
  id: 'go',
  kinds: ['proxy'],
  options: goOptions,
  inject: { logger: LOGGER, transport: TRANSPORT, clock: CLOCK },
  accessNames: (pattern) => modulePatterns(pattern).matches,
  classes: {
    [CLASS.list]: {
      kind: 'document',
      description: 'Lists of the versions of modules.',
      freshness: { ...MUTABLE, ...ABSENT },
      cacheControl: SHORT,
    },
    [CLASS.latest]: {
      kind: 'document',
      description: 'The latest version of modules (`@latest`).',
      freshness: { ...MUTABLE, ...ABSENT },
      cacheControl: SHORT,
    },
    [CLASS.query]: {
      kind: 'document',
      description: 'The versions that branches, commits and parts of versions stand for.',
      freshness: { ...MUTABLE, ...ABSENT },
      cacheControl: SHORT,
    },
    [CLASS.info]: {
      kind: 'artifact',
      description: 'The `.info` of versions.',
      freshness: ABSENT,
      cacheControl: 'public, max-age=604800',
    },
    [CLASS.mod]: {
      kind: 'artifact',
      description: 'The `go.mod` of versions.',
      freshness: ABSENT,
      cacheControl: FOR_EVER,
    },
    [CLASS.zip]: {
      kind: 'artifact',
      description: 'The zips of versions.',
      freshness: ABSENT,
      cacheControl: FOR_EVER,
    },
    [CLASS.head]: {
      kind: 'document',
      description: 'The newest signed head of the checksum database.',
      freshness: { policy: 'revalidate', freshFor: MINUTE },
      cacheControl: SHORT,
    },
    [CLASS.record]: {
      kind: 'document',
      description: 'Records of the checksum database.',
      freshness: { policy: 'immutable', negativeFor: ABSENT.negativeFor, onGone: 'keep' },
      cacheControl: SHORT,
    },
    [CLASS.tile]: {
      kind: 'artifact',
      description: 'Tiles of the checksum database.',
      freshness: { negativeFor: ABSENT.negativeFor },
      cacheControl: FOR_EVER,
    },
    [CLASS.privateDocument]: {
      kind: 'document',
      description: 'Lists, latest versions and queries of private modules.',
      freshness: { ...MUTABLE, ...PRIVATELY_ABSENT },
      cacheControl: 'private, max-age=60',
    },
    [CLASS.privateFile]: {
      kind: 'artifact',
      description: 'The `.info`, `go.mod` and zips of private modules.',
      freshness: PRIVATELY_ABSENT,
      cacheControl: 'private, max-age=31536000, immutable',
    },
  },
  discoverUpstreams: (context) => discoverUpstreams(context),
  clientSetup,
  async create({ services, options, repository }) {
    const { logger } = services;
    if (options.routes.length > 0) await requireDirectTools();
    const direct = new DirectModules(options.routes, services);
    const settings = await complete(options);
    const sourceOf = createSources({ repository, hasDatabase: settings.database !== undefined, ...settings });
    const name = settings.database?.verifier.name;
    const routes = createRoutes({ repository, database: name, sourceOf });
    const database =
      settings.database === undefined ? undefined : new ChecksumDatabase(settings.database.verifier, routes, logger);
    const pool = new HashPool();
    const isVerified = (path: string): boolean => sourceOf(path)?.verified === true;
    if (database === undefined) {
      logger.warn({ repository: repository.name }, 'modules are not verified: the checksum database is off');
    }
    return {
      route: routes.route,
      documentPath: ({ name, version }) =>
        `/${urlPath(name)}/@v/${version === undefined ? 'list' : `${urlPath(version)}.zip`}`,
      async verify(artifact, content, context) {
        const tile = parseTilePath(artifact.key.slice(`sumdb/${name}/`.length));
        if (artifact.class === CLASS.tile && tile !== undefined) {
          await database?.checkTile(tile, await content.bytes(LARGEST_TILE), context.read);
        } else await verifyModuleFile(artifact, content, context, { pool, record: routes.record, isVerified });
      },
      async produce(resource, context) {
        const route = sourceOf(resource.coordinates?.name ?? '')?.direct;
        if (route === undefined) throw new EntrepotError('not-found', `no direct route is for ${resource.key}`);
        return await direct.produce(route, resource, context);
      },
      async describe(document, content, context) {
        const { read } = context;
        const { name: path = '', version = '' } = document.coordinates ?? {};
        if (document.class === CLASS.head) await database?.checkHead(await content.bytes(LARGEST_PROOF), read);
        else if (document.class === CLASS.record) {
          await database?.checkLookup(await content.bytes(LARGEST_PROOF), path, version, read);
        } else if (document.key.endsWith('/@v/list')) {
          const versions = [...(await readList(path, content)).keys()];
          return await describeVersions(path, versions, context, routes.date);
        } else {
          const info = await readInfo(document.key, content);
          const dated = datedVersion(document.key);
          if (dated !== undefined) return describeDated(path, dated, info);
        }
        return new Map();
      },
      async rewrite(document, content, context) {
        const path = document.coordinates?.name ?? '';
        if (database !== undefined && document.class === CLASS.head) {
          return [database.bareHead(await content.bytes(LARGEST_PROOF))];
        }
        if (database !== undefined && document.class === CLASS.record) {
          return [database.freshReply(await content.bytes(LARGEST_PROOF))];
        }
        if (document.key.endsWith('/@v/list')) return await rewriteList(path, content, context);
        if (document.key.endsWith('/@latest')) return await rewriteLatest(path, content, context);
        const info = await readInfo(document.key, content);
        const { coordinates, description } = versionOf(path, info);
        if (!context.admits(coordinates, description)) {
          const why = context.refusal(coordinates, description);
          throw new EntrepotError('policy-denied', why ?? `${path}@${info.version} is not admitted here`);
        }
        return content.stream();
      },
      renderError,
      dispose: () => pool.dispose(),
    };
  },
});

/** The options, completed by what `go env` of this machine says. */
async function complete(options: GoOptions) {
  const { sumdb, unverified, private: confidential, routes } = options;
  const all = sumdb !== undefined && unverified !== undefined && confidential !== undefined;
  const environment = all ? undefined : await goEnvironment();
  try {
    return {
      database: sumdb === undefined ? parseDatabase(environment?.GOSUMDB || DEFAULT_DATABASE) : sumdb.setting,
      unverified: unverified ?? modulePatterns(environment?.GONOSUMDB ?? ''),
      private: confidential ?? modulePatterns(environment?.GONOPROXY ?? ''),
      routes,
    } satisfies { database: DatabaseSetting | undefined; [key: string]: unknown };
  } catch (error) {
    const reason = (error as Error).message;
    throw new EntrepotError('configuration', `go env of this machine: ${reason}; set sumdb, unverified and private`);
  }
}
