import { compileGlob, durationOption, linearExpression, sizeOption } from '@entrepot/core/formats';
import { RE2JS } from 're2js';
import { z } from 'zod';

/** Tests a name. */
type NameTest = (name: string) => boolean;

const freshness = durationOption({ endless: true });
const duration = z.union([z.string(), z.literal(0)], { error: freshness.expected }).transform(freshness.read);
const bytes = sizeOption({ least: 1, endless: true });
const size = z.union([z.string(), z.number()], { error: bytes.expected }).transform(bytes.read);

const pattern = z.union([z.string(), z.strictObject({ regex: z.string() })]).transform((written, context): NameTest => {
  try {
    if (typeof written === 'string') return compileGlob(written);
    return linearExpression(written.regex, (expression) => RE2JS.compile(expression));
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
});
const patterns = z.array(pattern);

const rule = z.strictObject({
  match: pattern.describe('Names of images, as the upstream spells them: a glob, or { regex } that is searched.'),
  policy: z
    .enum(['immutable', 'revalidate', 'bypass', 'deny'])
    .optional()
    .describe(
      '`immutable`: tags are kept for ever; `revalidate`: they are asked for again after `freshFor`; `bypass`: nothing of the image is kept; `deny`: it may not be pulled.',
    ),
  freshFor: duration.optional().describe('How long tags are served without asking the upstream.'),
  expireAfter: duration
    .optional()
    .describe('How old a copy of a tag, a manifest or a layer may be before the upstream is asked again.'),
});

const anyOf = (tests: readonly NameTest[]): NameTest => {
  return (name) => tests.some((fits) => fits(name));
};

/** Options of hosted registries alone. */
export const HOSTED_OPTIONS = ['immutableTags', 'deletes', 'sparse', 'maxManifestSize', 'maxBlobSize'] as const;
/** Options of proxies alone. */
export const PROXY_OPTIONS = ['allow', 'deny', 'rules', 'tags', 'namespaces', 'library'] as const;

/** The options of an OCI repository. */
export const ociOptions = z.strictObject({
  allow: patterns
    .transform(anyOf)
    .optional()
    .describe(
      'Only names that match one of these may be pulled, as the upstream spells them: `library/*`, `myorg/**`, or `{ regex: ^library/nginx }`.',
    ),
  deny: patterns.transform(anyOf).optional().describe('Names that may not be pulled.'),
  rules: z
    .array(rule)
    .optional()
    .describe(
      'How images are kept, by name; the first match counts. Others: `cache.tag`, `cache.manifest`, `cache.blob`.',
    ),
  tags: z
    .array(z.strictObject({ match: pattern, freshFor: duration }))
    .optional()
    .describe(
      'How long tags that match are served without asking the upstream; the first match counts. Others: `rules`, then `cache.tag`.',
    ),
  namespaces: z
    .array(z.string().min(1))
    .optional()
    .describe(
      'The registries that `?ns=` of containerd may name to reach this repository. Left out: the hosts of its upstreams.',
    ),
  library: z
    .boolean()
    .optional()
    .describe('Whether a name without a slash means `library/<name>` upstream. Left out: only for Docker Hub.'),
  immutableTags: z
    .union([z.boolean().transform((all) => () => all), patterns.transform(anyOf)])
    .optional()
    .describe('Tags that are never moved once they were pushed: all (`true`), or those that match.'),
  deletes: z.boolean().default(true).describe('Whether manifests, tags and blobs can be deleted.'),
  sparse: z
    .boolean()
    .default(false)
    .describe('Whether images are taken whose layers are not here. Indexes may always name images that are elsewhere.'),
  maxManifestSize: size.prefault('4MiB').describe('The largest manifest that is taken.'),
  maxBlobSize: size.prefault('unlimited').describe('The largest blob that is taken.'),
});

/** The options, read. */
export type OciOptions = z.output<typeof ociOptions>;

/** Rules for images by name. */
export type ImageRule = z.output<typeof rule>;
