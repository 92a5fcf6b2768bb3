import { CLOCK, defineScannerPlugin } from '@entrepot/core';
import { AcmeScanner } from './acme-scanner.js';
import { acmeOptions } from './options.js';

/** Findings from a list of Acme advisories in a file. */
export default defineScannerPlugin({
  id: 'acme',
  options: acmeOptions,
  inject: { clock: CLOCK },
  create: async ({ options, services }) => await AcmeScanner.open(options.database, services.clock),
});
