import { compileGlob, durationOption, sizeOption } from '@entrepot/core/formats';
import { z } from 'zod';

/** Tests a name. */
export type NameTest = (name: string) => boolean;

const freshness = durationOption({ endless: true });
const duration = z.union([z.string(), z.literal(0)], { error: freshness.expected }).transform(freshness.read);
const bytes = sizeOption({ least: 1, endless: true });
const size = z.union([z.string(), z.number()], { error: bytes.expected }).transform(bytes.read);

const pattern = z.string().transform((glob, context): NameTest => {
  try {
    return compileGlob(glob);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
});
const patterns = z.array(pattern);

/** Options of hosted registries alone. */
export const HOSTED_OPTIONS = ['immutableTags', 'deletes', 'sparse', 'maxManifestSize', 'maxBlobSize'] as const;
/** Options of proxies alone. */
export const PROXY_OPTIONS = ['allow', 'deny', 'tags', 'namespaces', 'library'] as const;

/** The options of an OCI repository. */
export const ociOptions = z
  .strictObject({
    allow: patterns
      .optional()
      .describe(
        'Only names that match one of these may be pulled, as the upstream spells them: `library/*`, `myorg/**`.',
      ),
    deny: patterns.optional().describe('Names that may not be pulled.'),
    tags: z
      .array(z.strictObject({ match: pattern, freshFor: duration }))
      .optional()
      .describe(
        'How long tags that match are served without asking the upstream; the first match counts. Others: `cache.tag`.',
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
      .union([z.boolean(), patterns])
      .optional()
      .describe('Tags that are never moved once they were pushed: all (`true`), or those that match.'),
    deletes: z.boolean().optional().describe('Whether manifests, tags and blobs can be deleted. Default: `true`.'),
    sparse: z
      .boolean()
      .optional()
      .describe(
        'Whether images are taken whose layers are not here. Default: `false`. Indexes may always name images that are elsewhere.',
      ),
    maxManifestSize: size.optional().describe('The largest manifest that is taken. Default: `4MiB`.'),
    maxBlobSize: size.optional().describe('The largest blob that is taken. Default: `unlimited`.'),
  })
  .transform((written) => ({
    mayPull: nameRule(written.allow, written.deny),
    freshForTag: freshnessRule(written.tags ?? []),
    namespaces: written.namespaces,
    library: written.library,
    isImmutableTag: tagRule(written.immutableTags ?? false),
    deletes: written.deletes ?? true,
    sparse: written.sparse ?? false,
    maxManifestSize: written.maxManifestSize ?? 4 * 1024 * 1024,
    maxBlobSize: written.maxBlobSize ?? Infinity,
  }));

/** The options, read. */
export type OciOptions = z.output<typeof ociOptions>;

function nameRule(allow: readonly NameTest[] | undefined, deny: readonly NameTest[] = []): NameTest {
  return (name) => (allow === undefined || allow.some((fits) => fits(name))) && !deny.some((fits) => fits(name));
}

function tagRule(rule: boolean | readonly NameTest[]): NameTest {
  return typeof rule === 'boolean' ? () => rule : (tag) => rule.some((fits) => fits(tag));
}

function freshnessRule(rules: readonly { match: NameTest; freshFor: number }[]): (tag: string) => number | undefined {
  return (tag) => rules.find(({ match }) => match(tag))?.freshFor;
}
