import { z } from 'zod';
import type { LoadedConfig } from '../config/load.js';
import { shownConfiguration } from '../config/shown-configuration.js';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';

/** The operation that shows the configuration. */
export const CONFIGURATION = operation({
  id: 'getConfiguration',
  tag: 'server',
  summary: 'Reads the configuration in force, without its secrets.',
  description: 'With all defaults: durations in milliseconds, sizes in bytes.',
  method: 'get',
  path: '/-/api/v1/configuration',
  access: 'administrator',
  replies: {
    200: {
      description: 'The configuration.',
      json: z.object({
        sources: z.array(z.string()).describe('The files that it was read from.'),
        configuration: z.record(z.string(), z.unknown()),
      }),
    },
  },
});

/** Adds the configuration in force. */
export function configurationRoute(operations: Operations, { config, sources }: LoadedConfig): void {
  operations.add(CONFIGURATION, () => json(200, { sources, configuration: shownConfiguration(config) }));
}
