import { transportSuite } from '@entrepot/core/testing';
import { describe, it } from 'vitest';
import { UndiciTransport } from '../../../src/drivers/upstream/undici.js';

transportSuite(
  { describe, it },
  ({ headTimeout = 10_000, idleTimeout = 10_000 }) =>
    new UndiciTransport({ timeouts: { connect: 5000, headers: headTimeout, body: idleTimeout } }),
  { timeouts: true },
);
