import { withoutTrailingSlashes } from '@entrepot/core';
import { sizeOption } from '@entrepot/core/formats';
import { z } from 'zod';

/** A form is read into memory. */
const LARGEST_UPLOAD = 1024 ** 3;
const DEFAULT_UPLOAD = 20 * 1024 * 1024;

const bytes = sizeOption({ least: 1, most: LARGEST_UPLOAD });
const size = z.union([z.string(), z.number()], { error: bytes.expected }).transform(bytes.read);

const field = z.string().min(1).max(100);
const count = z.number().int().positive();
const repositoryId = z.string().regex(/^[A-Za-z0-9-]+$/, 'expected the ID that Artifact Hub shows');
const flag = (what: string) => z.boolean().optional().describe(what);
const printable = (pattern: RegExp, expected: string) => z.string().regex(pattern, expected).optional();

/** The options of a Helm repository. */
export const helmOptions = z
  .strictObject({
    index: z
      .enum(['yaml', 'json'])
      .optional()
      .describe(
        'What `index.yaml` is written as. JSON is YAML too, and helm reads it many times as fast. Default: `yaml`.',
      ),
    depth: z
      .union([z.literal([0, 1, 2, 3]), z.literal('dynamic')])
      .optional()
      .describe(
        'How many segments of a path name a tenant: `1` for `/<tenant>/index.yaml`; `dynamic` for any number. Default: `0`.',
      ),
    chartUrl: z
      .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
      .optional()
      .describe('What URLs of charts in the index begin with. Left out: they are relative to the index.'),
    allowOverwrite: flag('Whether every upload may replace a version that exists. Default: `false`.'),
    forceOverwrite: flag('Whether an upload with `?force` may. Default: `true`.'),
    api: flag('Whether there is `/api`, by which charts are pushed and listed. Default: `true`.'),
    deletes: flag('Whether charts can be deleted. Default: `true`.'),
    maxUploadSize: size.optional().describe('The largest upload that is taken. Default: `20MiB`.'),
    maxObjects: count
      .optional()
      .describe('How many charts and provenance files a tenant may have. Left out: any number.'),
    perChartLimit: count
      .optional()
      .describe('How many versions of a chart are kept: with one more, the oldest goes. Left out: all.'),
    chartField: field.optional().describe('The field of a form that has the chart. Default: `chart`.'),
    provField: field.optional().describe('The field of a form that has the provenance file. Default: `prov`.'),
    artifactHub: z
      .union([repositoryId, z.record(z.string(), repositoryId)])
      .optional()
      .describe('The ID for `artifacthub-repo.yml`, or one for each tenant by its name.'),
    corsAllowOrigin: printable(/^[\x21-\x7e]+$/, 'expected an origin, or *').describe(
      '`Access-Control-Allow-Origin` of replies of `/api`.',
    ),
    tokenRealm: z
      .url()
      .optional()
      .describe('Where clients without a token are sent for one. Left out: they are asked for a password.'),
    tokenService: printable(
      /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/,
      'expected printable characters without quotes',
    ).describe('The service that they ask it for. Default: the host of the repository.'),
  })
  .transform((written) => ({
    ...written,
    written: Object.keys(written),
    index: written.index ?? 'yaml',
    depth: written.depth ?? 0,
    chartUrl: written.chartUrl && withoutTrailingSlashes(written.chartUrl),
    allowOverwrite: written.allowOverwrite ?? false,
    forceOverwrite: written.forceOverwrite ?? true,
    api: written.api ?? true,
    deletes: written.deletes ?? true,
    maxUploadSize: written.maxUploadSize ?? DEFAULT_UPLOAD,
    chartField: written.chartField ?? 'chart',
    provField: written.provField ?? 'prov',
  }));

/** The options, read. */
export type HelmOptions = z.output<typeof helmOptions>;
