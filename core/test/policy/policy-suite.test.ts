import { describe, it } from 'vitest';
import type { PolicyInput } from '@entrepot/core';
import { createPolicy, type PolicyException, PRESET_NAMES } from '@entrepot/core/engine';
import { policySuite } from '@entrepot/core/testing';
import { compileForTests, databaseOf, everything, inputs } from './fixtures.js';

const NOW = Date.UTC(2026, 0, 1);
const extra: readonly PolicyInput[] = inputs(NOW);

describe.each(PRESET_NAMES)('preset %s', (preset) => {
  policySuite({ describe, it }, () => ({ policy: createPolicy({ document: { version: 1, preset } }) }), {
    inputs: extra,
  });
});

describe('a document with every condition', () => {
  policySuite(
    { describe, it },
    () => {
      let exceptions: readonly PolicyException[] = [];
      const policy = createPolicy({
        document: everything,
        scanners: [databaseOf(NOW)],
        exceptions: () => exceptions,
        compileExpression: compileForTests,
      });
      return {
        policy,
        change: () => {
          exceptions = [
            { id: 'e1', scope: {}, approvedBy: ['ann', 'bob'], expiresAt: NOW + 1000, active: true },
            ...exceptions,
          ];
        },
      };
    },
    { inputs: extra, change: true },
  );
});
