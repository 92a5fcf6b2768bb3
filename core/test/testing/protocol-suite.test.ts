import { describe, expect, it } from 'vitest';
import type { Adaptation } from '@entrepot/core';
import { createProtocol, protocolSuite, routeTable, runSuite } from '@entrepot/core/testing';
import { crateSubject } from './crate-protocol.js';

protocolSuite({ describe, it }, crateSubject());

describe('route table', () => {
  it('prints what requests name', async () => {
    const table = routeTable(await createProtocol(crateSubject()), [
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

it('passes a format that translates what it passes through', async () => {
  const adapt: Adaptation<unknown> = {
    request: ({ path = '' }) => ({ method: 'GET', upstreamPath: path }),
    reply: (_resource, { status, body }) => ({ status, body, mediaType: 'application/json' }),
  };
  const { failed } = await runSuite(protocolSuite, crateSubject({ classes: { search: { adapt } } }));
  expect(failed).toEqual([]);
});

describe('capabilities', () => {
  it('shows what is switched off', async () => {
    const { skipped, failed } = await runSuite(protocolSuite, crateSubject(), {
      policy: false,
      integrity: false,
      rewriting: false,
    });
    expect(failed).toEqual([]);
    expect(skipped).toHaveLength(7);
  });

  it('shows what cannot be checked of documents without links', async () => {
    const { skipped, failed } = await runSuite(protocolSuite, crateSubject({ subject: { links: 'none' } }));
    expect(failed).toEqual([]);
    const noMentions = '(skipped: links are none, and the subject has no mentions)';
    expect(skipped.map((name) => name.replace(/^protocol crate: /, ''))).toEqual([
      'rewrites links so that they route to artifacts (skipped: links are none)',
      `leaves denied versions out of documents ${noMentions}`,
      `leaves one denied version out of documents, and no other ${noMentions}`,
      `leaves a version that is too young out of documents ${noMentions}`,
    ]);
  });

  it('reads documents without links by what they mention', async () => {
    const mentions = (body: string): string[] => Object.keys((JSON.parse(body) as { versions: object }).versions);
    const { skipped, failed } = await runSuite(protocolSuite, crateSubject({ subject: { links: 'none', mentions } }));
    expect(failed).toEqual([]);
    expect(skipped).toEqual([
      'protocol crate: rewrites links so that they route to artifacts (skipped: links are none)',
    ]);
  });
});
