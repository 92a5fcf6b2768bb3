import { z } from 'zod';
import { operation } from '../http/operations/operation.js';
import { amount, bytes, instant, limitOf, named, plainText, repositoryName } from '../http/operations/schemas.js';

const PATH = '/-/api/v1/statistics';
/** The most rows of one answer, and the most days that it is about. */
const MOST_ROWS = 10_000;
const MOST_DAYS = 3_660;

/** A day of the calendar (UTC). */
const day = plainText(10)
  .refine((text) => z.iso.date().safeParse(text).success, 'expected a day such as 2026-11-30')
  .meta({ format: 'date', description: 'A day (UTC).' });

function daysOf(usual: number) {
  const expected = `expected a whole number from 1 to ${MOST_DAYS}`;
  return z.int(expected).min(1, expected).max(MOST_DAYS, expected).default(usual);
}

const by = z.enum(['day', 'repository', 'principal', 'package']);
const ofRepository = repositoryName.optional().describe('Left out: all.');

const numbers = {
  requests: amount,
  downloads: amount.describe('Artifacts that were sent whole.'),
  bytes: bytes.describe('Bytes of the bodies of replies.'),
  hits: amount,
  revalidated: amount,
  stale: amount,
  misses: amount,
  denied: amount,
  failed: amount,
  notModified: amount.describe('Replies with the status 304.'),
  ranges: amount.describe('Replies with a part (206).'),
  hitRatio: z
    .number()
    .optional()
    .describe('Hits, revalidated and stale copies, by those and the misses. Absent: there was none.'),
  savedBytes: bytes.describe('Bytes of replies that kept copies were for.'),
  savedMilliseconds: amount
    .optional()
    .describe('What upstreams would have taken, by what they took otherwise. Absent: none was measured.'),
  upstreamRequests: amount,
  upstreamBytes: bytes,
};

const sums = named('StatisticsNumbers', 'Numbers of requests.', z.object(numbers));

const statistics = z.object({
  from: z.string(),
  to: z.string(),
  by,
  total: sums,
  rows: z.array(
    z.object({
      day: z.string().optional(),
      repository: z.string().optional(),
      package: z.string().optional().describe('A package URL without a version.'),
      principal: z.string().optional(),
      others: z
        .enum(['anonymous', 'rest'])
        .optional()
        .describe('What has no name of its own: callers without one, or the rest.'),
      ...numbers,
    }),
  ),
});

const unused = z.object({
  packages: z.array(
    z.object({
      repository: z.string(),
      purl: z.string(),
      entries: amount,
      bytes,
      lastServedAt: instant.optional().describe('Absent: never since it was stored.'),
    }),
  ),
});

export type StatisticsNumbers = z.output<typeof sums>;
export type StatisticsAnswer = z.output<typeof statistics>;
export type UnusedAnswer = z.output<typeof unused>;

/** The operations of statistics. */
export const STATISTICS_OPERATIONS = {
  read: operation({
    id: 'getStatistics',
    tag: 'repositories',
    summary: 'Reads what was asked for and answered, and what kept copies saved.',
    method: 'get',
    path: PATH,
    access: 'administrator',
    query: z.strictObject({
      from: day.optional(),
      to: day.optional().describe('Left out: today.'),
      days: daysOf(30).describe('The number of days, where `from` is left out.'),
      repository: ofRepository,
      by: by.default('day'),
      sort: z
        .enum(['requests', 'downloads', 'bytes'])
        .default('downloads')
        .describe('What there is most of comes first.'),
      limit: limitOf(100, MOST_ROWS),
    }),
    replies: { 200: { description: 'The numbers.', json: statistics } },
  }),
  unused: operation({
    id: 'listUnusedPackages',
    tag: 'repositories',
    summary: 'Lists packages of which nothing was served nor stored for so many days, the largest first.',
    method: 'get',
    path: `${PATH}/unused`,
    access: 'administrator',
    query: z.strictObject({ days: daysOf(90), repository: ofRepository, limit: limitOf(100, MOST_ROWS) }),
    replies: { 200: { description: 'The packages.', json: unused } },
  }),
};
