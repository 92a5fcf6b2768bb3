import { withoutTrailingSlashes } from '@entrepot/core';
import { sizeOption } from '@entrepot/core/formats';
import { z } from 'zod';

/** A form is read into memory. */
const LARGEST_UPLOAD = 1024 ** 3;

/** The most segments of a path that name a tenant. */
const DEEPEST = 16;

const bytes = sizeOption({ least: 1, most: LARGEST_UPLOAD });
const size = z.union([z.string(), z.number()], { error: bytes.expected }).transform(bytes.read);
const field = z.string().min(1).max(100);
const count = z.number().int().positive();
const flag = z.boolean();
const repositoryId = z.string().regex(/^[A-Za-z0-9-]+$/, 'expected the ID that Artifact Hub shows');

/** Options of hosted repositories alone. */
const hosted = {
  depth: z
    .union([z.int().min(0).max(DEEPEST), z.literal('dynamic')], {
      error: `expected a whole number from 0 to ${DEEPEST}, or dynamic`,
    })
    .default(0)
    .describe('How many segments of a path name a tenant: `1` for `/<tenant>/index.yaml`; `dynamic` for any number.'),
  chartUrl: z
    .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
    .transform(withoutTrailingSlashes)
    .optional()
    .describe('What URLs of charts in the index begin with. Left out: they are relative to the index.'),
  allowOverwrite: flag.default(false).describe('Whether every upload may replace a version that exists.'),
  forceOverwrite: flag.default(true).describe('Whether an upload with `?force` may.'),
  api: flag.default(true).describe('Whether there is `/api`, by which charts are pushed and listed.'),
  deletes: flag.default(true).describe('Whether charts can be deleted.'),
  maxUploadSize: size.prefault('20MiB').describe('The largest upload that is taken.'),
  maxObjects: count
    .optional()
    .describe('How many charts and provenance files a tenant may have. Left out: any number.'),
  perChartLimit: count
    .optional()
    .describe('How many versions of a chart are kept: with one more, the oldest goes. Left out: all.'),
  chartField: field.default('chart').describe('The field of a form that has the chart.'),
  provField: field.default('prov').describe('The field of a form that has the provenance file.'),
  artifactHub: z
    .union([repositoryId, z.record(z.string(), repositoryId)])
    .optional()
    .describe('The ID for `artifacthub-repo.yml`, or one for each tenant by its name.'),
  corsAllowOrigin: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'expected an origin, or *')
    .optional()
    .describe('`Access-Control-Allow-Origin` of replies of `/api`.'),
  tokenRealm: z
    .url()
    .optional()
    .describe('Where clients without a token are sent for one. Left out: they are asked for a password.'),
  tokenService: z
    .string()
    .regex(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/, 'expected printable characters without quotes')
    .optional()
    .describe('The service that they ask it for. Default: the host of the repository.'),
};

/** The options of a Helm repository. */
export const helmOptions = z.strictObject({
  index: z
    .enum(['yaml', 'json'])
    .default('yaml')
    .describe('What `index.yaml` is written as. JSON is YAML too, and helm reads it many times as fast.'),
  ...hosted,
});

/** The keys of options of hosted repositories alone. */
export const HOSTED_KEYS: readonly string[] = Object.keys(hosted);

/** The options, read. */
export type HelmOptions = z.output<typeof helmOptions>;
