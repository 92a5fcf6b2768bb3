import {
  CLOCK,
  EntrepotError,
  LOGGER,
  silentLogger,
  systemClock,
  type ProtocolInstance,
  type TokenRecord,
} from '@entrepot/core';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Scope } from '../../src/container/scope.js';
import { createProtocol, type CreateProtocolOptions } from '../../src/plugins/create.js';

type Candidate = Pick<CreateProtocolOptions, 'plugin' | 'side'>;

function plugin(create: (context: { readonly services: unknown }) => unknown, inject: TokenRecord = {}): Candidate {
  return { plugin: { id: 'zoo', inject }, side: { create: create as CreateProtocolOptions['side']['create'] } };
}

function make(candidate: Candidate, timeout?: number, logger = silentLogger) {
  const scope = new Scope('root');
  scope.value(CLOCK, systemClock);
  const child = scope.child('files');
  child.value(LOGGER, silentLogger);
  const repository = { name: 'files', kind: 'proxy' as const, upstreams: [] };
  return createProtocol({ ...candidate, scope: child, options: {}, repository, timeout, logger });
}

const PROTOCOL: ProtocolInstance = { route: () => undefined };

describe('createProtocol', () => {
  it('gives a plugin the services that it named and no others', async () => {
    let seen: unknown;
    const result = await make(
      plugin(
        ({ services }) => {
          seen = services;
          return PROTOCOL;
        },
        { log: LOGGER },
      ),
    );

    expect(result).toEqual({ made: PROTOCOL });
    expect(seen).toEqual({ log: silentLogger });
  });

  it.each<[string, () => unknown, string]>([
    [
      'throws',
      () => {
        throw new Error('no such index');
      },
      'an error from create: Error: no such index',
    ],
    ['rejects', () => Promise.reject(new Error('no such index')), 'an error from create: Error: no such index'],
    ['hangs', () => new Promise(() => {}), 'create still running after 50 ms'],
    ['makes nothing', () => undefined, 'undefined'],
    ['makes no route', () => ({}), 'protocol.route undefined'],
    ['makes a hook that is none', () => ({ ...PROTOCOL, dispose: 'text' }), 'protocol.dispose "text"'],
  ])('says so when create %s', async (_what, create, found) => {
    const result = await make(plugin(create), 50);

    expect(result).toMatchObject({ mismatches: [{ found }] });
  });

  it('says after a while whom it waits for', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const warned: unknown[] = [];
    const logger = { ...silentLogger, warn: (fields: object, message: string) => void warned.push([fields, message]) };
    const making = make(
      plugin(() => new Promise(() => {})),
      undefined,
      logger,
    );
    await vi.advanceTimersByTimeAsync(2_000);
    expect(warned).toEqual([[{ plugin: 'zoo', repository: 'files' }, 'waiting for a plugin to make its protocol']]);
    await vi.advanceTimersByTimeAsync(8_000);
    expect(await making).toMatchObject({
      mismatches: [{ found: 'create still running after 10000 ms', wanted: expect.stringContaining('to settle') }],
    });
  });

  it('passes on what a plugin says of its options', async () => {
    const result = await make(
      plugin(() => {
        throw new EntrepotError('configuration', 'repositories.files.depth: not for this kind');
      }),
    );

    expect(result).toEqual({ refusal: 'repositories.files.depth: not for this kind' });
  });
});
