import { CLOCK, defineScannerPlugin } from '@entrepot/core';
import { createToolScanner } from '@entrepot/core/tool';
import { GrypeTool } from './grype-tool.js';
import { grypeOptions } from './options.js';

export type { GrypeOptions } from './options.js';

/** Grype: packages by name and version, and container images; says what is exploited, and how likely. */
export default defineScannerPlugin({
  id: 'grype',
  options: grypeOptions,
  inject: { clock: CLOCK },
  create: ({ services: { clock }, options }) => createToolScanner(new GrypeTool(options), { ...options, clock }),
});
