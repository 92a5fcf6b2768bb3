import { describe, expect, it } from 'vitest';
import { protocolSuite, routeTable, runSuite } from '@entrepot/core/testing';
import { crateProtocol, crateSubject } from './crate-protocol.js';

protocolSuite({ describe, it }, crateSubject());

describe('route table', () => {
  it('prints what requests name', () => {
    const table = routeTable(crateProtocol, [
      '/ping',
      '/tool/x',
      '/a/../b',
      { method: 'POST', path: '/tool' },
      '/ping',
    ]);
    const pong = { kind: 'local', status: 200, body: 'pong' };
    expect(table).toEqual({
      'GET /ping': pong,
      'GET /tool/x': 'not-found',
      'GET /a/../b': 'bad-request',
      'POST /tool': 'method-not-allowed',
      'GET /ping {}': pong,
    });
  });
});

describe('capabilities', () => {
  it('shows what is switched off', async () => {
    const { skipped, failed } = await runSuite(protocolSuite, crateSubject(), {
      policy: false,
      integrity: false,
      rewriting: false,
    });
    expect(failed).toEqual([]);
    expect(skipped.map((name) => name.replace(/^.*: (?=[a-z]+ )/, ''))).toHaveLength(5);
  });
});
