import { artifactClass, documentClass, passthroughClass, type Parsed, type Resource } from '@entrepot/core';
import { adaptAuditReply, adaptAuditRequest } from './audit.js';
import { ABBREVIATED_TYPE } from './package-name.js';
import { checkList, describeVersion, parsePackument, type Packument } from './packument.js';
import { renderPackument } from './representation.js';
import { namesIn, type NpmProxy } from './routes.js';

const DAY = 86_400_000;
const JSON_TYPE = 'application/json';
/** The time for which the answer to one audit body may be given again, in milliseconds. */
const AUDIT_SHARED_FOR = 300_000;

export const packument = documentClass<NpmProxy, Packument>({
  about: 'Packuments, in full and abbreviated, and the version documents and dist-tags that derive from them.',
  cache: { freshFor: 300_000 },
  upstream: { accept: JSON_TYPE },
  reply: {
    mediaType: ({ variant }) => (variant === 'abbreviated' ? ABBREVIATED_TYPE : JSON_TYPE),
    // Without a lifetime npm asks for every packument again on every install.
    cacheControl: 'public, max-age=60',
    vary: ({ attributes }) => (attributes?.['negotiated'] === true ? ['Accept'] : undefined),
    render: renderPackument,
  },
  parse: (content, { coordinates }, { arriving }, { upstreams }) =>
    parsePackument(coordinates?.name ?? '', content, upstreams, arriving),
});

export const version = documentClass<NpmProxy>({
  about: "The upstream's documents of single versions, by which tarballs are promised. They are not kept.",
  cache: { freshFor: 300_000 },
  upstream: { accept: JSON_TYPE },
  parse: (content, { coordinates }, _context, { upstreams }) =>
    describeVersion(coordinates?.name ?? '', coordinates?.version ?? '', content, upstreams),
});

export const tarball = artifactClass<NpmProxy>({
  about: 'Tarballs of package versions.',
  reply: { mediaType: 'application/octet-stream', cacheControl: 'public, max-age=31536000, immutable' },
  trust: {
    describedBy: packumentOf,
    describedBrieflyBy: ({ coordinates }, npm) =>
      coordinates?.version === undefined ? undefined : npm.version(coordinates.name, coordinates.version),
  },
});

/** Documents that hold one list. */
const LIST = {
  cache: { freshFor: DAY },
  upstream: { accept: JSON_TYPE },
  reply: { mediaType: JSON_TYPE, cacheControl: 'public, max-age=300' },
  parse: checkList,
};

export const attestations = documentClass<NpmProxy, Parsed>({
  ...LIST,
  about: 'Provenance and publish attestations of versions.',
  trust: { describedBy: packumentOf },
  policy: { sidecar: true },
});

export const keys = documentClass<NpmProxy, Parsed>({
  ...LIST,
  about: 'The keys with which the upstream signs.',
  policy: { forAnyName: true },
});

export const search = passthroughClass<NpmProxy>({
  about: 'Search.',
  method: 'GET',
  upstream: { accept: JSON_TYPE },
  policy: { names: ({ attributes }) => namesIn(attributes?.['text'] as string) },
});

export const audit = passthroughClass<NpmProxy>({
  about: 'Audits, also in the form of the retired routes.',
  method: 'POST',
  upstream: { accept: JSON_TYPE },
  policy: { forAnyName: true },
  adapt: {
    answerPath: '/-/npm/v1/security/advisories/bulk',
    request: (resource, body, context, { upstreams }) => adaptAuditRequest(resource, body, upstreams, context),
    reply: adaptAuditReply,
  },
  shareFor: AUDIT_SHARED_FOR,
});

function packumentOf({ coordinates }: Resource, npm: NpmProxy): Resource | undefined {
  return coordinates && npm.packument(coordinates.name, 'full');
}
