import { defineProtocolPlugin, EntrepotError } from '@entrepot/core';
import type { Entry, RequestHead, RewriteContext } from '@entrepot/core';
import { describeSums } from './checksum.js';
import { clientSetup } from './client-setup.js';
import { renderListing } from './listing.js';
import { filesOptions, HOSTED_KEYS, PROXY_KEYS } from './options.js';
import { CLASS, routeHosted, routeProxy } from './routes.js';

export type { FilesOptions } from './options.js';

/** Headers of an upstream that say something of the bytes or of the file. */
const KEPT_HEADERS = [
  'content-disposition',
  'content-language',
  'repr-digest',
  'x-checksum-md5',
  'x-checksum-sha1',
  'x-checksum-sha256',
];

/** Any HTTP file server behind Entrepot (`kind: proxy`), and hosted file repositories (`kind: hosted`). */
export default defineProtocolPlugin({
  id: 'files',
  kinds: ['proxy', 'hosted'],
  options: filesOptions,
  inject: {},
  accessNames: 'paths',
  otherBytes: 'escape',
  classes: {
    [CLASS.artifact]: {
      kind: 'artifact',
      description: 'Files that a rule says are immutable.',
      freshness: { respectNoStore: true },
      cacheControl: 'max-age=31536000, immutable',
      keepHeaders: KEPT_HEADERS,
    },
    [CLASS.document]: {
      kind: 'document',
      description: 'All other files, and directory indexes of the upstream.',
      freshness: { respectNoStore: true },
      keepHeaders: KEPT_HEADERS,
    },
    [CLASS.checksum]: {
      kind: 'document',
      description: 'Sum files that a rule names as a sidecar.',
    },
    [CLASS.hosted]: {
      kind: 'artifact',
      description: 'Files of a hosted repository.',
      freshness: { expireAfter: Infinity },
    },
    [CLASS.listing]: {
      kind: 'document',
      description: 'Directory listings of a hosted repository.',
    },
  },
  clientSetup,
  create({ options, repository }) {
    const { kind, name } = repository;
    const strange = options.written.find((key) => (kind === 'proxy' ? HOSTED_KEYS : PROXY_KEYS).includes(key));
    if (strange !== undefined) {
      throw new EntrepotError('configuration', `repositories.${name}.${strange}: not an option of kind: ${kind}`);
    }
    if (kind === 'hosted') {
      return {
        route: (head) => routeHosted(head, options),
        render: (document, entries, { admits }) => {
          const listed = admitted(entries, admits);
          const format = document.variant === 'json' ? 'json' : 'html';
          return renderListing(name, document.fromEntries?.prefix ?? '', listed, format);
        },
      };
    }
    const route = (head: RequestHead) => routeProxy(head, options);
    const { sidecars } = options.table;
    // Without `describe`, no document has to be read for what it says.
    if (sidecars.length === 0) return { route };
    return {
      route,
      describe: async (document, content) =>
        document.class === CLASS.checksum ? describeSums(document.key, sidecars, content) : new Map(),
    };
  },
});

/** The entries that policy lets be listed. */
async function* admitted(entries: AsyncIterable<Entry>, admits: RewriteContext['admits']): AsyncGenerator<Entry> {
  for await (const entry of entries) if (entry.coordinates === undefined || admits(entry.coordinates)) yield entry;
}
