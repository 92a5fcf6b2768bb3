import type { EnginePlugin } from '../../src/engine/index.js';
import { API_VERSION, type TokenRecord } from '../../src/index.js';

/** Makes a plugin in the shape that the engine works with, for tests of the engine alone. */
export function enginePlugin<Options, const Deps extends TokenRecord>(
  members: Omit<EnginePlugin<Options, Deps>, 'kind' | 'apiVersion'>,
): EnginePlugin<Options, Deps> {
  return { kind: 'protocol', apiVersion: API_VERSION, ...members };
}
