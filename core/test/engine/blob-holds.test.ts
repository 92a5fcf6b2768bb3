import { describe, expect, it } from 'vitest';
import type { BlobCatalogue } from '../../src/api/blob-catalogue.js';
import type { Digest } from '../../src/api/digest.js';
import type { Entry } from '../../src/api/entry-index.js';
import { BlobHolds } from '../../src/engine/store/blob-holds.js';
import { EntryCache } from '../../src/engine/store/entry-cache.js';
import { ManualClock, MemoryBlobStore, MemoryEntryIndex } from '../../src/testing/index.js';
import { silentLogger } from '../../src/api/logger.js';

const MINUTE = 60_000;
const DIGEST: Digest = `sha256:${'1'.repeat(64)}`;
const ENTRY: Entry = {
  repository: 'files',
  key: 'a',
  digest: DIGEST,
  size: 3,
  mediaType: 'text/plain',
  headers: {},
  fetchedAt: 0,
  checkedAt: 0,
  integrity: [],
};

/** A catalogue that has every blob already. */
class RecordingCatalogue implements BlobCatalogue {
  readonly holdTime = 10 * MINUTE;
  readonly running = new Set<string>();
  #made = 0;

  async hold() {
    this.#made += 1;
    const id = `${this.#made}`;
    this.running.add(id);
    return { id, isNew: false };
  }

  release({ id }: { readonly id: string }): void {
    this.running.delete(id);
  }

  async visited(): Promise<void> {}
  async damaged(): Promise<void> {}
}

function open() {
  const catalogue = new RecordingCatalogue();
  const clock = new ManualClock();
  const holds = new BlobHolds(catalogue, new MemoryBlobStore(), clock);
  return { catalogue, clock, holds };
}

describe('a hold on a blob', () => {
  it('lasts from before its bytes are put until its entry is', async () => {
    const { catalogue, holds } = open();
    await holds.putting('files', ENTRY, async () => expect(catalogue.running.size).toBe(1));
    expect(catalogue.running.size).toBe(1);
    await holds.naming([ENTRY], async () => expect(catalogue.running.size).toBe(1));
    expect(catalogue.running.size).toBe(0);
  });

  it('ends when its bytes could not be put', async () => {
    const { catalogue, holds } = open();
    await expect(holds.putting('files', ENTRY, () => Promise.reject(new Error('full')))).rejects.toThrow('full');
    expect(catalogue.running.size).toBe(0);
  });

  it('ends when the entry that is kept is renewed, since its bytes came again', async () => {
    const { catalogue, clock, holds } = open();
    const entries = new EntryCache(new MemoryEntryIndex(), holds, 10, clock, silentLogger);
    await holds.putting('files', ENTRY, async () => {});
    await entries.replace(ENTRY);
    await holds.putting('files', ENTRY, async () => {});
    await entries.touch(ENTRY, { checkedAt: 1 });
    expect(catalogue.running.size).toBe(0);
    await entries.dispose();
  });

  it('ends after half of its time when its entry never came, and no newer one with it', async () => {
    const { catalogue, clock, holds } = open();
    await holds.putting('files', ENTRY, async () => {});
    clock.advance(4 * MINUTE);
    await holds.putting('files', ENTRY, async () => {});
    clock.advance(2 * MINUTE);
    await holds.putting('files', { ...ENTRY, digest: `sha256:${'2'.repeat(64)}` }, async () => {});
    expect([...catalogue.running]).toEqual(['2', '3']);
  });
});
