import type { Clock } from '@entrepot/core';
import { z } from 'zod';
import { PRIORITIES, type ScanPriority } from '../drivers/sql/scan-store.js';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { amount, instant, limitOf, plainText } from '../http/operations/schemas.js';
import type { Inquiry } from '../policy/inquiry.js';
import { withPurl } from './policy-routes.js';
import { coordinates, report } from './policy-schemas.js';
import { severityCounts } from './severity-counts.js';

const ROOT = '/-/api/v1';
const MOST_ROWS = 10_000;
const common = { tag: 'scans', access: 'administrator' } as const;
const PRIORITY_NAMES = Object.keys(PRIORITIES) as [ScanPriority, ...ScanPriority[]];
const counts = z.record(z.string(), amount);

/** The operations of scans. */
export const SCANS = {
  list: operation({
    ...common,
    id: 'listScans',
    summary: 'Lists scanners, with their databases, and scans that wait.',
    method: 'get',
    path: `${ROOT}/scans`,
    query: z.strictObject({ limit: limitOf(100, MOST_ROWS) }),
    replies: {
      200: {
        description: 'Scanners and scans.',
        json: z.object({
          scanners: z.array(
            z.object({
              id: z.string(),
              ecosystems: z.array(z.string()),
              revision: z.string(),
              databaseDate: instant.optional(),
            }),
          ),
          waitingClients: amount,
          queued: counts.describe('The number of scans that wait, by scanner.'),
          states: z.record(z.string(), counts).describe('The number of reports by scanner and state.'),
          jobs: z.array(
            z.object({
              id: z.string(),
              scanner: z.string(),
              revision: z.string(),
              coordinates,
              purl: z.string(),
              digest: z.string().optional(),
              priority: z.enum(PRIORITY_NAMES),
              attempts: amount,
              generation: amount,
              askedAt: instant,
              owner: z.string().optional(),
            }),
          ),
        }),
      },
    },
  }),
  advisories: operation({
    ...common,
    id: 'listAdvisories',
    summary: 'Lists reports with findings, the newest first.',
    method: 'get',
    path: `${ROOT}/advisories`,
    query: z.strictObject({ limit: limitOf(100, MOST_ROWS) }),
    replies: {
      200: {
        description: 'The reports.',
        json: z.object({ reports: z.array(report.extend({ purl: z.string() })) }),
      },
    },
  }),
  vulnerabilities: operation({
    ...common,
    id: 'listVulnerabilities',
    summary: 'Counts the findings in a version by severity.',
    description: 'Slashes of the name may stand as they are, or escaped.',
    method: 'get',
    path: `${ROOT}/packages/{type}/{name}/{version}/vulnerabilities`,
    slashes: ['name'],
    parameters: z.strictObject({
      type: plainText(100).describe('The type of its package URL.'),
      name: plainText(1_000).describe('Its name, with the namespace.'),
      version: plainText(500),
    }),
    replies: {
      200: {
        description: 'The findings.',
        json: z.object({
          purl: z.string(),
          severity_counts: counts,
          total: amount,
          bypassed: amount.describe('Those that an exception is for.'),
          vulnerabilities: z.array(
            z.looseObject({
              id: z.string(),
              severity: z.string(),
              fixed_in: z.array(z.string()),
              bypassed: z.boolean(),
            }),
          ),
          scanned: z.boolean(),
        }),
      },
    },
  }),
};

/** Adds questions on scanners and their reports. */
export function scanRoutes(operations: Operations, inquiry: Inquiry, clock: Clock): void {
  const { governance } = inquiry;
  const { reports, exceptions } = governance;
  operations.add(SCANS.list, async ({ query: { limit } }) => {
    const jobs = await reports.jobs(limit);
    return json(200, {
      scanners: governance.scanners.map(({ id, scanner }) => ({
        id,
        ecosystems: scanner.subjects.ecosystems,
        revision: scanner.revision(),
        databaseDate: scanner.databaseDate?.(),
      })),
      waitingClients: governance.desk.waiting,
      ...(await reports.counts()),
      jobs: jobs.map((job) => ({ ...withPurl(job), priority: PRIORITY_NAMES[job.priority] as ScanPriority })),
    });
  });
  operations.add(SCANS.advisories, async ({ query: { limit } }) =>
    json(200, { reports: (await reports.newestFindings(limit)).map(withPurl) }),
  );
  operations.add(SCANS.vulnerabilities, async ({ parameters: { type: ecosystem, name, version } }) => {
    const asked = { ecosystem, name, version };
    const found = await inquiry.findings(asked);
    const now = clock.now();
    const inForce = (await exceptions.list()).filter(({ active, expiresAt }) => active && expiresAt > now);
    return json(200, { ...severityCounts(asked, found, inForce), scanned: await inquiry.isScanned(asked) });
  });
}
