import { defineProtocolPlugin } from '@entrepot/core';
import { file, index, metadata, project, provenance, signature, simple } from './classes.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { renderError } from './errors.js';
import { pypiOptions } from './options.js';
import { projectPattern } from './owners.js';
import { PypiProxy } from './routes.js';

/** Python package indexes: the Simple API in its forms, files with their sidecars, legacy JSON, provenance. */
export default defineProtocolPlugin({
  id: 'pypi',
  options: pypiOptions,
  inject: {},
  names: { pattern: projectPattern },
  // Links of pages are relative.
  http: { dotSegments: 'redirect' },
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: {
    classes: { simple, index, project, provenance, file, metadata, signature },
    create: ({ options, repository }) => new PypiProxy(repository, options),
    documentPath: ({ name }) => `/simple/${encodeURIComponent(name)}/`,
    renderError,
  },
});
