import { sizeOption } from '@entrepot/core/formats';
import { z } from 'zod';

const bytes = sizeOption({ least: 1 });
const size = z.union([z.string(), z.number()], { error: bytes.expected }).transform(bytes.read);
const group = z
  .string()
  .regex(
    /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/,
    'expected a group such as com.example, which has those below it in it',
  );

const rule = z.strictObject({
  upstream: z.url({ protocol: /^https?$/, error: 'expected the URL of one of the upstreams' }),
  groups: z.array(group).min(1).optional(),
  releases: z.boolean().default(true),
  snapshots: z.boolean().default(true),
});

/** Groups and versions that an upstream is asked for. */
export type RoutingRule = z.output<typeof rule>;

/** Options of proxies alone. */
const proxy = {
  verifyChecksums: z
    .enum(['verify', 'warn', 'generate', 'off'])
    .default('verify')
    .describe(
      "What is done with upstreams' `.sha1` files. `verify`: a file that differs from its own is not served. `warn`: the log says so. `generate`: they are not asked for. In all three, clients get sums of the bytes that are here. `off`: they are not checked, and clients get those of the upstream.",
    ),
  routing: z
    .array(rule)
    .default([])
    .describe(
      'Rules for upstreams: `{ upstream, groups, releases, snapshots }`. `groups` are asked of that upstream alone; `releases: false` or `snapshots: false`: it is not asked for these.',
    ),
};

/** Options of hosted repositories alone. */
const hosted = {
  maxUploadSize: size.prefault('2GiB').describe('The largest file that is taken.'),
  redeploy: z
    .boolean()
    .default(false)
    .describe(
      'Whether a file of a release may be replaced by other bytes. Those of snapshots may, where they have no timestamp.',
    ),
};

/** The options of a Maven repository. */
export const mavenOptions = z.strictObject({ ...proxy, ...hosted });

/** Keys of options of proxies alone. */
export const PROXY_KEYS: readonly string[] = Object.keys(proxy);
/** Keys of options of hosted repositories alone. */
export const HOSTED_KEYS: readonly string[] = Object.keys(hosted);

/** The options, read. */
export type MavenOptions = z.output<typeof mavenOptions>;
