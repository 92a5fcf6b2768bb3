import type { IncomingMessage } from 'node:http';
import type Router from '@koa/router';
import { CLOCK } from '@entrepot/core';
import type { RepositoryEngine } from '@entrepot/core/engine';
import { adminAccess } from './admin/admin-access.js';
import { auditRoutes } from './admin/audit-routes.js';
import { billRoutes } from './admin/bill-routes.js';
import { browseRoutes } from './admin/browse-routes.js';
import { cleanupRoutes } from './admin/cleanup-routes.js';
import { configurationRoute } from './admin/configuration-route.js';
import { exceptionRoutes } from './admin/exception-routes.js';
import { eventsRoutes, type EventStreams } from './admin/events-routes.js';
import { explainPage } from './admin/explain-page.js';
import { gcRoutes } from './admin/gc-routes.js';
import { jobRoutes } from './admin/job-routes.js';
import { keyRoutes } from './admin/key-routes.js';
import { policyRoutes } from './admin/policy-routes.js';
import { quarantineRoutes } from './admin/quarantine-routes.js';
import { readerGuard } from './admin/reader-guard.js';
import { reloadRoute } from './admin/reload-route.js';
import { rootsRoutes } from './admin/roots-routes.js';
import { scanRoutes } from './admin/scan-routes.js';
import { spaceRoutes } from './admin/space-routes.js';
import { statisticsRoutes } from './admin/statistics-routes.js';
import { verifyRoutes } from './admin/verify-routes.js';
import type { LoadedConfig } from './config/load.js';
import {
  ACCESS,
  ADMINISTRATION,
  AUDIT,
  BLOBS,
  DATABASE,
  ENGINE,
  ENTRIES,
  EVENTS,
  GOVERNANCE,
  KEYS,
  ROOT_LOGGER,
  SPACE,
  STATISTICS,
  STORAGE,
} from './container/tokens.js';
import { SqlEntryBrowser } from './drivers/sql/entry-browser.js';
import { SqlPackageSearch } from './drivers/sql/package-search.js';
import { SqlStatisticsReport } from './drivers/sql/statistics-report.js';
import { SqlKeyStore } from './drivers/sql/key-store.js';
import { hostVersion } from './host-version.js';
import { advisoryRoutes } from './http/advisory-routes.js';
import { originOf } from './http/base-url.js';
import { clientOf, type Exchanges } from './http/exchange.js';
import { healthRoutes } from './http/health-routes.js';
import type { HomeContent } from './http/home-content.js';
import { homePage } from './http/home-page.js';
import { metricsGuard, metricsRoute, type MetricsRouteOptions } from './http/metrics-route.js';
import { openApiRoute } from './http/openapi-route.js';
import { OPEN, Operations } from './http/operations/operations.js';
import { type MountedSite, storedFor } from './http/request-subject.js';
import type { SenderOf } from './http/sender.js';
import type { TrustedProxies } from './http/trusted-proxies.js';
import { clientSetup, describe, isOpen, urlAt } from './mount-repositories.js';
import { Inquiry } from './policy/inquiry.js';
import type { CreateHostOptions, Prepared } from './prepare-host.js';
import type { RootRefresher } from './roots/root-refresher.js';
import { portOf, type OpenSite } from './sites.js';
import type { Cleanup } from './space/cleanup.js';

export interface ServerRoutesOptions {
  readonly loaded: LoadedConfig;
  readonly prepared: Prepared;
  /** Absent: they are not served here. */
  readonly metrics: MetricsRouteOptions['source'] | undefined;
  readonly home: HomeContent;
  readonly cleanup: Cleanup;
  readonly roots: RootRefresher;
  readonly streams: EventStreams;
  readonly reload: CreateHostOptions['reload'];
  readonly exchanges: Exchanges;
  readonly proxies: TrustedProxies;
  readonly senderOf: SenderOf;
  /** Complete when the first request comes. */
  readonly sites: readonly OpenSite[];
}

/** Adds the pages of the server itself: health, metrics, administration, explanations, advisories, the start page. */
export function serverRoutes(
  router: Router,
  {
    loaded,
    prepared,
    metrics: source,
    home,
    cleanup,
    roots,
    streams,
    reload,
    exchanges,
    proxies,
    senderOf,
    sites,
  }: ServerRoutesOptions,
): Operations {
  const { server, metrics, policy, storage } = loaded.config;
  const { root, administration, served } = prepared;
  const logger = root.get(ROOT_LOGGER);
  const clock = root.get(CLOCK);
  const governance = root.get(GOVERNANCE);
  const blobs = root.get(BLOBS);
  const entries = root.get(ENTRIES);
  const checks = [
    { name: 'blobs', check: () => blobs.check(), checkReading: () => blobs.check('read') },
    { name: 'entries', check: () => entries.check(), checkReading: () => entries.check('read') },
    { name: 'scanners', check: async () => (governance.starting.length > 0 ? ('starting' as const) : undefined) },
  ];
  const access = adminAccess(administration.get(ADMINISTRATION), {
    senderOf,
    addressOf: ({ headers, socket }) => clientOf(headers, socket, proxies),
    audit: root.get(AUDIT),
    logger,
  });
  const accesses = served.map(({ scope }) => scope.get(ACCESS));
  const operations = new Operations(
    router,
    {
      everybody: OPEN,
      reader: readerGuard(accesses, access),
      administrator: access.guard,
      delegate: access.guardWithin,
      metrics: metricsGuard(metrics.token),
    },
    { logger, settled: () => root.get(STORAGE).spools.settled() },
  );
  healthRoutes(operations, { checks, isDraining: () => exchanges.draining, clock, logger });
  if (source !== undefined) metricsRoute(operations, { path: metrics.path, source });
  openApiRoute(operations, { version: hostVersion(), base: server.publicUrl });
  const asked = served.map(({ plan, scope }) => {
    const describe: RepositoryEngine['describe'] = (...asked) => scope.get(ENGINE).describe(...asked);
    return { name: plan.name, kind: plan.kind, type: plan.loaded.plugin.id, isOpen: isOpen(scope), describe };
  });
  const inquiry = new Inquiry(governance, root.get(DATABASE), asked, clock);
  const longestException = policy?.longestException ?? 90 * 86_400_000;
  const shown = served.map((one) => ({
    ...describe(one.plan),
    isOpen: isOpen(one.scope),
    baseUrl: (request: IncomingMessage, authority: string | undefined) =>
      urlAt(one.plan, server.publicUrl, () => originOf(request, authority, proxies), portOf(sites, one)),
    clientSetup: (baseUrl: string) => clientSetup(one, baseUrl, logger),
  }));
  const database = root.get(DATABASE);
  // Before those whose paths end with any package URL.
  scanRoutes(operations, inquiry, clock);
  browseRoutes(operations, {
    repositories: shown,
    inquiry,
    browser: new SqlEntryBrowser(database),
    search: new SqlPackageSearch(database),
    report: root.get(SPACE).report,
  });
  jobRoutes(operations, { space: root.get(SPACE), cleanup });
  policyRoutes(operations, inquiry);
  exceptionRoutes(operations, { governance, clock, longestException });
  quarantineRoutes(operations, { governance, clock, longestException });
  billRoutes(operations, inquiry, clock);
  configurationRoute(operations, loaded);
  if (reload !== undefined) reloadRoute(operations, reload);
  auditRoutes(operations, root.get(AUDIT), clock);
  keyRoutes(operations, {
    keys: root.get(KEYS),
    store: new SqlKeyStore(root.get(DATABASE)),
    repositories: served.map(({ plan: { name, loaded } }) => ({ name, pattern: loaded.plugin.names?.pattern })),
    clock,
    logger,
  });
  cleanupRoutes(operations, cleanup);
  rootsRoutes(operations, roots, logger);
  gcRoutes(operations, root.get(SPACE).collection, storage.gc.batchSize);
  verifyRoutes(operations, {
    verification: root.get(SPACE).verification,
    batchSize: storage.verify.batchSize,
  });
  spaceRoutes(operations, {
    space: root.get(SPACE),
    storedFor: (text, request) => storedFor(text, request, sites.map(mountedSite) as [MountedSite, ...MountedSite[]]),
    clock,
    logger,
  });
  statisticsRoutes(operations, {
    statistics: root.get(STATISTICS),
    report: new SqlStatisticsReport(root.get(DATABASE)),
    usage: root.get(SPACE).entryUsage,
    repositories: served.map(({ plan: { name, kind } }) => ({ name, kind })),
    clock,
  });
  explainPage(operations, inquiry, access);
  eventsRoutes(operations, {
    hub: root.get(EVENTS),
    streams,
    repositories: served.map(({ plan: { name }, scope }) => ({ name, access: scope.get(ACCESS) })),
    admins: access,
  });
  advisoryRoutes(operations, governance.scanners);
  homePage(
    operations,
    // Whoever may not read a repository is not told whose it is either.
    shown.map((one) => (one.isOpen ? one : { ...one, upstreams: [] })),
    home,
  );
  return operations;
}

function mountedSite({ repositories, listener: { port } }: OpenSite): MountedSite {
  return { repositories, port };
}
