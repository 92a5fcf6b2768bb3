import { aliasClass, artifactClass, documentClass, passthroughClass, type PackageCoordinates } from '@entrepot/core';
import { coordinatesOf, isCrateName } from './crate-name.js';
import { LARGEST_INDEX, parseIndex, renderIndex, type CrateIndex } from './index-lines.js';
import { LARGEST_METADATA, parseLicences, readLicences } from './licences.js';
import { crateOf, type CargoProxy } from './proxy.js';
import { JSON_TYPE, LARGEST_CONFIG, parseConfig, printConfig, type RegistryConfig } from './registry-config.js';

const MINUTE = 60_000;
const TEXT = 'text/plain; charset=utf-8';

/** The classes of a proxy. */
export const PROXY_CLASSES = {
  config: documentClass<CargoProxy, RegistryConfig>({
    about: 'The `config.json` of registries: where crates are.',
    cache: { freshFor: MINUTE },
    upstream: { maxBytes: LARGEST_CONFIG },
    reply: {
      mediaType: JSON_TYPE,
      vary: ['Authorization'],
      render: (_config, { resource, baseUrl }) => [printConfig(baseUrl, resource.variant === 'guarded')],
    },
    policy: { forAnyName: true },
    parse: parseConfig,
  }),
  index: documentClass<CargoProxy, CrateIndex>({
    about: 'The index of each crate: one line for each version.',
    // Of a crate that is not there cargo asks for up to three spellings.
    cache: { freshFor: MINUTE, negativeFor: MINUTE },
    upstream: { maxBytes: LARGEST_INDEX },
    reply: { mediaType: TEXT, render: renderIndex },
    async parse(content, { coordinates }, context, cargo) {
      const crate = coordinates?.name ?? '';
      const metadata = context.needs.has('licenses') ? cargo.metadata(crate) : undefined;
      return await parseIndex(crate, content, metadata && (await readLicences(metadata, context)));
    },
  }),
  metadata: documentClass<CargoProxy>({
    about: 'What the upstream of the scope `api` says of a crate, for its licences. It is not served.',
    cache: { negativeFor: MINUTE },
    upstream: { accept: JSON_TYPE, maxBytes: LARGEST_METADATA },
    async parse(content) {
      await parseLicences(content);
      return { weight: 0 };
    },
  }),
  crate: artifactClass<CargoProxy>({
    about: 'Crates.',
    upstream: { locate: (_resource, context, cargo) => cargo.locate(context) },
    reply: {
      mediaType: 'application/gzip',
      filename: ({ coordinates }) => `${coordinates?.name}-${coordinates?.version}.crate`,
      cacheControl: 'public, max-age=31536000, immutable',
    },
    trust: { describedBy: ({ coordinates }, cargo) => coordinates && cargo.index(coordinates.name) },
  }),
  download: aliasClass<CargoProxy>({
    about: 'Crates by their versions, without their sums.',
    async resolve(
      { coordinates: { name = '', version = '' } = {} as Partial<PackageCoordinates> },
      { document },
      cargo,
    ) {
      const index = await document<CrateIndex>(cargo.index(name));
      const sha256 = index.document.versions.sumOf(version);
      return sha256 === undefined ? undefined : crateOf({ name, version, sha256 });
    },
  }),
  search: passthroughClass<CargoProxy>({
    about: 'Search, by the upstream of the scope `api`.',
    method: 'GET',
    upstream: { accept: JSON_TYPE },
    policy: { names: ({ attributes }) => namesIn(attributes?.['text'] as string) },
  }),
  owners: passthroughClass<CargoProxy>({
    about: 'Owners of a crate, by the upstream of the scope `api`.',
    method: 'GET',
    upstream: { accept: JSON_TYPE },
    policy: { names: ({ coordinates }) => (coordinates === undefined ? [] : [coordinates]) },
  }),
};

/** The names of crates in the text of a search: the upstream would learn them. */
function namesIn(text: string) {
  return text
    .split(/[\s,]/)
    .filter(isCrateName)
    .map((name) => coordinatesOf(name));
}
