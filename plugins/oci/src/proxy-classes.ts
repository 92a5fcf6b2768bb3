import {
  type Content,
  type PackageCoordinates,
  artifactClass,
  documentClass,
  type PolicyFacts,
  type ReplyFacts,
  type FreshnessRule,
  type Resource,
  type UpstreamFacts,
} from '@entrepot/core';
import { mediaTypeIn, partsOf, requireManifest, signedPart } from './manifest.js';
import { BLOB_TYPE, DIGEST_HEADER, EXPECTED_MANIFEST_TYPES, MANIFEST_ACCEPT } from './media-types.js';
import type { ImageRule } from './options.js';
import { accessName, nameOf, repliedHeaders, tokenScope, type OciProxy } from './proxy-routes.js';
import { KEY, looksLikeDigest } from './reference.js';
import { LIST_CLASSES } from './upstream-lists.js';

/** The largest manifest that is taken, in bytes: registries take 4 MiB at the most (distribution specification, "Pushing Manifests"). */
const MAX_MANIFEST = 16 * 1024 * 1024;
/** The number of parts of an image that are as old as it. */
const MAX_PARTS = 2_000;
/** Memory of a described manifest, in bytes. */
const DESCRIPTION_BYTES = 500;

const IMMUTABLE = 'max-age=31536000, immutable';
const reply: ReplyFacts<OciProxy> = {
  // Core knows the digest of its own algorithm; another one stands in the request.
  digestHeader: ({ integrity }) => (integrity?.[0]?.algorithm === 'sha512' ? undefined : DIGEST_HEADER),
  headers: repliedHeaders,
};

const manifestUpstream: UpstreamFacts<OciProxy> = {
  accept: MANIFEST_ACCEPT,
  expects: EXPECTED_MANIFEST_TYPES,
  maxBytes: MAX_MANIFEST,
  tokenScope,
};

const manifestReply: ReplyFacts<OciProxy> = {
  ...reply,
  mediaTypeOf: async (_, content) => mediaTypeIn(await content.bytes(MAX_MANIFEST)),
};

const manifestPolicy: PolicyFacts<OciProxy> = { accessName, parts: partsIn };

/** The classes of a proxy. */
export const proxyClasses = {
  /** A layer or a configuration. Others may share it: only a name that is refused as a whole takes its own with it. */
  blob: artifactClass<OciProxy>({
    about: 'Layers and configurations, by digest.',
    cache: { expireAfter: Infinity, except: digestRule },
    upstream: { tokenScope },
    reply: {
      ...reply,
      mediaType: BLOB_TYPE,
      filename: ({ key }) => key.slice(key.lastIndexOf('@') + 1).replace(':', '-'),
      cacheControl: IMMUTABLE,
    },
    trust: { addressed: { shared: true, size: ({ key }, { sizes }) => sizes.get(key) } },
    policy: { accessName, sidecar: true },
  }),
  /** A manifest by its digest: a copy of what tags name, or of what their indexes name. */
  manifest: artifactClass<OciProxy>({
    about: 'Manifests and indexes, by digest.',
    cache: { expireAfter: Infinity, except: digestRule },
    upstream: manifestUpstream,
    reply: { ...manifestReply, filename: 'manifest.json', cacheControl: IMMUTABLE },
    trust: {
      addressed: { namedBy: tagsBelow, part: partThatWasSigned },
      async verify(resource, content, _, self) {
        self.learnSizes(nameOf(resource), partsOf(await content.bytes(MAX_MANIFEST)).blobs);
      },
    },
    policy: manifestPolicy,
  }),
  /** A mutable name of a manifest. */
  tag: documentClass<OciProxy>({
    about: 'Manifests and indexes, by tag.',
    cache: {
      // A signature is pushed as a tag right after its image: what was not there a moment ago may be there now.
      negativeFor: 5_000,
      // The freshness of this tag holds, also where it is longer than that of other tags.
      except(resource, self) {
        const version = resource.coordinates?.version ?? '';
        const tag = self.options.tags?.find(({ match }) => match(version));
        return tag === undefined
          ? tagRule(self.ruleOf(nameOf(resource)))
          : { freshFor: tag.freshFor, expireAfter: Infinity };
      },
    },
    upstream: manifestUpstream,
    reply: manifestReply,
    trust: {
      addressed: {
        pinned: (resource) => ({
          key: KEY.manifest(nameOf(resource), '{digest}'),
          path: `v2/${nameOf(resource)}/manifests/{digest}`,
        }),
        part: partThatWasSigned,
      },
    },
    policy: manifestPolicy,
    /** Describes the manifests that an index brings along: they go by its name. */
    async parse(content, resource, _, self) {
      const bytes = await content.bytes(MAX_MANIFEST);
      requireManifest(resource.key, bytes);
      const name = nameOf(resource);
      const { manifests, blobs } = partsOf(bytes);
      self.learnSizes(name, blobs);
      const described = new Map(manifests.map(({ digest }) => [KEY.manifest(name, digest), { integrity: [] }]));
      return {
        weight: described.size * DESCRIPTION_BYTES,
        describe: (key) => described.get(key),
        descriptions: () => described,
      };
    },
  }),
  ...LIST_CLASSES,
};

/** The freshness of tags of the images of a rule. */
function tagRule(rule: ImageRule | undefined): Partial<FreshnessRule> | undefined {
  if (rule === undefined || rule.policy === 'deny') return undefined;
  const { policy, freshFor, expireAfter } = rule;
  // A copy that is fresh for longer than tags usually may be old stays so.
  const oldest = expireAfter ?? (freshFor === undefined && policy !== 'immutable' ? undefined : Infinity);
  return given({ policy, freshFor, expireAfter: oldest });
}

/** The freshness of what has a digest of the images of a rule: it is not revalidated. */
function digestRule(resource: Resource, self: OciProxy): Partial<FreshnessRule> | undefined {
  const rule = self.ruleOf(nameOf(resource));
  return rule && given({ policy: rule.policy === 'bypass' ? rule.policy : undefined, expireAfter: rule.expireAfter });
}

function given(freshness: { [Key in keyof FreshnessRule]?: FreshnessRule[Key] | undefined }): Partial<FreshnessRule> {
  return Object.fromEntries(Object.entries(freshness).filter(([, value]) => value !== undefined));
}

function tagsBelow({ coordinates }: Resource): Resource | undefined {
  if (coordinates === undefined) return undefined;
  const { ecosystem, name } = coordinates;
  return { class: 'tag', key: KEY.tag(name, ''), coordinates: { ecosystem, name } };
}

async function partThatWasSigned(_: Resource, content: Content): Promise<Uint8Array | undefined> {
  return content.size > MAX_MANIFEST ? undefined : signedPart(await content.bytes(MAX_MANIFEST));
}

async function partsIn({ coordinates }: Resource, content: Content): Promise<readonly PackageCoordinates[]> {
  if (coordinates === undefined || content.size > MAX_MANIFEST) return [];
  const { manifests, blobs } = partsOf(await content.bytes(MAX_MANIFEST));
  const parts = [...manifests, ...blobs].slice(0, MAX_PARTS).filter(({ digest }) => looksLikeDigest(digest));
  return parts.map(({ digest }) => ({ ...coordinates, version: digest }));
}
