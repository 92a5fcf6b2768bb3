import { type AccessNeed, defineProtocolPlugin } from '@entrepot/core';
import { CLEANUP } from './cleanup.js';
import { clientSetup } from './client-setup.js';
import { renderError } from './errors.js';
import { hostedClasses } from './hosted-classes.js';
import { OciHosted } from './hosted-routes.js';
import { MANIFEST_TYPES } from './media-types.js';
import { HOSTED_OPTIONS, ociOptions, PROXY_OPTIONS } from './options.js';
import { proxyClasses } from './proxy-classes.js';
import { OciProxy } from './proxy-routes.js';
import { REPLY_HEADERS, select } from './select.js';

export type { OciOptions } from './options.js';

/** OCI images and artifacts: a pull-through proxy of any registry, and hosted registries. */
export default defineProtocolPlugin({
  id: 'oci',
  options: ociOptions,
  inject: {},
  http: { sharedMounts: ['/v2'], mountAlone: '/v2', replyHeaders: REPLY_HEADERS, warnsStale: true, select },
  clients: { setup: clientSetup },
  proxy: {
    classes: proxyClasses,
    ownOptions: PROXY_OPTIONS,
    create: ({ options, repository }) => new OciProxy(options, repository),
    renderError,
    challenge,
    documentPath: ({ name }) => `/${name}/tags/list`,
    partPath({ name }, { digest, mediaType = '' }) {
      return `/${name}/${MANIFEST_TYPES.includes(mediaType) ? 'manifests' : 'blobs'}/${digest}`;
    },
  },
  hosted: {
    classes: hostedClasses,
    ownOptions: HOSTED_OPTIONS,
    create: ({ options, repository }) => new OciHosted(options, repository),
    renderError,
    challenge,
    cleanup: CLEANUP,
  },
});

/**
 * Sends a client to our token endpoint (distribution specification, "Token Authentication"). Its scopes begin with the
 * name of the repository, whichever way the request came in.
 */
function challenge(
  { right, name }: AccessNeed,
  { baseUrl }: { readonly baseUrl: string },
  { repository }: { readonly repository: string },
): string {
  const { origin, host } = new URL(baseUrl);
  const actions = right === 'read' ? 'pull' : 'pull,push';
  const scope = name === undefined ? '' : `,scope="repository:${repository}/${name}:${actions}"`;
  return `Bearer realm="${origin}/-/token",service="${host}"${scope}`;
}
