import { CLOCK, type RequestHead, type SharedAnswer, defineProtocolPlugin } from '@entrepot/core';
import { CHANGE_CLASSES } from './changes.js';
import { CLEANUP } from './cleanup.js';
import { clientSetup } from './client-setup.js';
import { renderError } from './errors.js';
import { FILE_CLASSES, HelmHosted } from './hosted.js';
import { LISTING_CLASSES } from './listings.js';
import { helmOptions, HOSTED_KEYS } from './options.js';
import { HelmProxy, PROXY_CLASSES } from './proxy.js';

export type { HelmOptions } from './options.js';

/** Helm chart repositories: hosted with ChartMuseum's API, and proxies of any other repository. */
export default defineProtocolPlugin({
  id: 'helm',
  options: helmOptions,
  inject: { clock: CLOCK },
  names: { claimTypes: ['artifact-repository'] },
  // Charts of hosted repositories are images, too. A listener of one repository serves them by the classic URLs first.
  http: { sharedMounts: ['/v2'], mountAlone: '/', select },
  clients: { setup: clientSetup },
  proxy: {
    classes: PROXY_CLASSES,
    create: ({ options, repository }) => new HelmProxy(options, repository),
    renderError,
    documentPath: () => '/index.yaml',
  },
  hosted: {
    classes: { ...FILE_CLASSES, ...LISTING_CLASSES, ...CHANGE_CLASSES },
    ownOptions: HOSTED_KEYS,
    create: ({ options, repository, services }) => new HelmHosted(repository.name, options, services.clock),
    renderError,
    challenge: (need, { baseUrl }, self) => self.challenge(need, baseUrl),
    cleanup: CLEANUP,
  },
});

/** Answers the root of `/v2`: there is a registry. */
function select({ segments }: RequestHead): SharedAnswer | undefined {
  if (segments.length > 0) return undefined;
  const headers = { 'Content-Type': 'application/json', 'Docker-Distribution-API-Version': 'registry/2.0' };
  return { reply: { status: 200, headers, body: '{}' }, guarded: true };
}
