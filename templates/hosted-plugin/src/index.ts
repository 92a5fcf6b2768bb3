import { defineProtocolPlugin } from '@entrepot/core';
import { file, index, publish, remove, type AcmeRepository } from './classes.js';
import { renderError } from './errors.js';
import { acmeOptions } from './options.js';
import { route } from './routes.js';

/** Acme releases: published with PUT, removed with DELETE, listed by project. */
export default defineProtocolPlugin({
  id: 'acme',
  options: acmeOptions,
  inject: {},
  clients: {
    setup: ({ baseUrl }) => [
      {
        client: 'curl',
        steps: [
          {
            kind: 'command',
            text: `curl --fail -T <project>-<version>.tar.gz ${baseUrl}/<project>/<project>-<version>.tar.gz`,
          },
        ],
      },
    ],
  },
  hosted: {
    classes: { file, index, publish, remove },
    create: ({ options }): AcmeRepository => ({ options, route }),
    renderError,
  },
});
