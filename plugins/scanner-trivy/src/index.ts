import { CLOCK, defineScannerPlugin } from '@entrepot/core';
import { createToolScanner } from '@entrepot/core/tool';
import { trivyOptions } from './options.js';
import { TrivyTool } from './trivy-tool.js';

export type { TrivyOptions } from './options.js';

/** Trivy: packages by name and version, and container images. */
export default defineScannerPlugin({
  id: 'trivy',
  options: trivyOptions,
  inject: { clock: CLOCK },
  create: ({ services: { clock }, options }) => createToolScanner(new TrivyTool(options), { ...options, clock }),
});
