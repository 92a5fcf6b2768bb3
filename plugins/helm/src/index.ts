import { CLOCK, defineProtocolPlugin, EntrepotError, type RequestHead, type SharedAnswer } from '@entrepot/core';
import { clientSetup } from './client-setup.js';
import { HelmHosted } from './hosted.js';
import { helmOptions, strangeOptions } from './options.js';
import { HelmProxy } from './proxy.js';

export type { HelmOptions } from './options.js';

/** Helm chart repositories: hosted with ChartMuseum's API, and proxies of any other repository. */
export default defineProtocolPlugin({
  id: 'helm',
  kinds: ['proxy', 'hosted'],
  options: helmOptions,
  inject: { clock: CLOCK },
  // Charts of hosted repositories are images, too.
  sharedMounts: ['/v2'],
  claimTypes: ['artifact-repository'],
  // Charts are fetched by the classic URLs first; images of them are the second door.
  mountAlone: '/',
  classes: {
    chart: {
      kind: 'artifact',
      description: 'Archives of charts.',
      freshness: { expireAfter: Infinity },
    },
    provenance: {
      kind: 'artifact',
      description: 'Provenance files of charts.',
      // It may be made a moment after its chart.
      freshness: { expireAfter: Infinity, negativeFor: 5_000 },
    },
    index: { kind: 'document', description: 'Indexes: `index.yaml`.' },
    listing: { kind: 'document', description: 'What `/api` of a hosted repository shows.' },
    manifest: { kind: 'artifact', description: 'Charts of a hosted repository as images: manifests, by digest.' },
    blob: { kind: 'artifact', description: 'Charts of a hosted repository as images: layers, by digest.' },
    tag: { kind: 'document', description: 'Charts of a hosted repository as images: manifests, by tag.' },
    tags: { kind: 'document', description: 'Charts of a hosted repository as images: lists of tags.' },
  },
  clientSetup,
  select,
  create({ options, repository, services }) {
    const { kind, name } = repository;
    const [strange] = strangeOptions(options, kind);
    if (strange !== undefined) {
      throw new EntrepotError('configuration', `repositories.${name}.${strange}: not an option of kind: ${kind}`);
    }
    return kind === 'proxy' ? new HelmProxy(options, repository) : new HelmHosted(name, options, services.clock);
  },
});

/** The root of `/v2`: that there is a registry. */
function select({ segments }: RequestHead): SharedAnswer | undefined {
  if (segments.length > 0) return undefined;
  const headers = { 'Content-Type': 'application/json', 'Docker-Distribution-API-Version': 'registry/2.0' };
  return { reply: { kind: 'local', status: 200, headers, body: '{}' }, guarded: true };
}
