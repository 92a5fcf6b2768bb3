import assert from 'node:assert/strict';
import { describe, expect, it } from 'vitest';
import { blobStoreSuite, MemoryBlobStore, printReport, runSuite, type SuiteRunner } from '@entrepot/core/testing';

/** A suite of three checks: one passes, one fails, one is as `last`. */
function threeChecks(last: () => Promise<void>): (runner: SuiteRunner) => void {
  return ({ it }) => {
    it('passes', async () => {});
    it('fails', async () => assert.fail('expected 2\nfound 1'));
    it('last', last);
  };
}

describe('runSuite', () => {
  it('runs every check, whatever happens', async () => {
    const { passed, failed, skipped } = await runSuite(
      threeChecks(async () => {}),
      undefined,
    );
    expect([passed, failed.map(({ name }) => name), skipped]).toEqual([['passes', 'last'], ['fails'], []]);
    expect(failed[0]?.error).toBeInstanceOf(assert.AssertionError);
  });

  it('gives up a check that hangs', async () => {
    const hang = (): Promise<void> => new Promise(() => {});
    const { failed } = await runSuite(threeChecks(hang), undefined, undefined, { checkTimeout: 5 });
    expect(failed.at(-1)).toMatchObject({ name: 'last', error: { message: 'did not settle within 5 ms' } });
  });

  it('runs only what is asked for', async () => {
    const only = (name: string): boolean => name === 'passes';
    const { passed, failed } = await runSuite(
      threeChecks(async () => {}),
      undefined,
      undefined,
      { only },
    );
    expect([passed, failed]).toEqual([['passes'], []]);
  });

  it('prints failures and counts', async () => {
    const report = await runSuite(
      threeChecks(async () => {}),
      undefined,
    );
    expect(printReport(report)).toBe('FAILED fails\n  expected 2\n  found 1\n2 passed, 1 failed, 0 skipped');
  });

  it('names what is switched off', async () => {
    const report = await runSuite(blobStoreSuite, () => ({ store: new MemoryBlobStore() }));
    expect(report.failed).toEqual([]);
    expect(report.skipped).toContain('blob store: serves a blob by a signed URL (skipped: signedUrl is off)');
    expect(printReport(report)).toMatch(/^\d+ passed, 0 failed, 5 skipped$/);
  });
});

describe('a runner that has only it', () => {
  it('gets the names of groups, and what is skipped as passing checks that say so', async () => {
    const names: string[] = [];
    blobStoreSuite({ it: (name) => void names.push(name) }, () => ({ store: new MemoryBlobStore() }));
    expect(names).toContain('blob store: gives back an empty blob');
    expect(names.filter((name) => name.includes('(skipped: '))).toHaveLength(5);
  });
});

describe('a check', () => {
  it('closes its fixture also when it fails, and reports what went wrong first', async () => {
    let closed = 0;
    const store = new MemoryBlobStore();
    store.stat = async () => {
      throw new Error('stat is broken');
    };
    const only = (name: string): boolean => name.endsWith('a small blob');
    const close = async (): Promise<void> => {
      closed += 1;
      throw new Error('close is broken');
    };
    const { failed } = await runSuite(blobStoreSuite, () => ({ store, close }), {}, { only });
    expect([failed.map(({ error }) => error.message), closed]).toEqual([['stat is broken'], 1]);
  });

  it('fails when only its fixture cannot be closed', async () => {
    const close = async (): Promise<void> => {
      throw new Error('close is broken');
    };
    const only = (name: string): boolean => name.endsWith('a small blob');
    const { failed } = await runSuite(blobStoreSuite, () => ({ store: new MemoryBlobStore(), close }), {}, { only });
    expect(failed.map(({ error }) => error.message)).toEqual(['close is broken']);
  });
});
