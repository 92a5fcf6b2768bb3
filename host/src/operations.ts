import { AUDIT_LOG } from './admin/audit-routes.js';
import { BILL } from './admin/bill-routes.js';
import { BROWSE } from './admin/browse-operations.js';
import { CLEANUP } from './admin/cleanup-routes.js';
import { CONFIGURATION } from './admin/configuration-route.js';
import { EVENTS_OPERATION } from './admin/events-routes.js';
import { EXCEPTIONS } from './admin/exception-routes.js';
import { EXPLAIN_PAGE } from './admin/explain-page.js';
import { GC } from './admin/gc-routes.js';
import { JOBS } from './admin/job-routes.js';
import { KEYS } from './admin/key-operations.js';
import { POLICY } from './admin/policy-operations.js';
import { QUARANTINE } from './admin/quarantine-routes.js';
import { RELOAD } from './admin/reload-route.js';
import { ROOTS } from './admin/roots-routes.js';
import { SCANS } from './admin/scan-routes.js';
import { PINS, PURGE, USAGE } from './admin/space-operations.js';
import { STATISTICS_OPERATIONS } from './admin/statistics-operations.js';
import { VERIFY } from './admin/verify-routes.js';
import { ADVISORIES } from './http/advisory-routes.js';
import { LIVE, READY } from './http/health-routes.js';
import { HOME } from './http/home-page.js';
import { metricsAt } from './http/metrics-route.js';
import { OPENAPI } from './http/openapi-route.js';
import type { Operation } from './http/operations/operation.js';
import { TOKENS } from './http/token-route.js';

/** All operations that a server may have. */
export const OPERATIONS: readonly Operation[] = [
  ...Object.values<Operation>(BROWSE),
  ...Object.values<Operation>(JOBS),
  ...[USAGE, STATISTICS_OPERATIONS, PINS, PURGE, GC, VERIFY, CLEANUP, ROOTS].flatMap((group) =>
    Object.values<Operation>(group),
  ),
  ...[POLICY, EXCEPTIONS, QUARANTINE, BILL, SCANS].flatMap((group) => Object.values<Operation>(group)),
  EXPLAIN_PAGE,
  ...Object.values<Operation>(KEYS),
  AUDIT_LOG,
  ...Object.values<Operation>(ADVISORIES),
  ...Object.values<Operation>(TOKENS),
  OPENAPI,
  CONFIGURATION,
  RELOAD,
  EVENTS_OPERATION,
  metricsAt('/metrics'),
  ...LIVE,
  ...READY,
  HOME,
];
