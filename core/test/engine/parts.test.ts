import { describe, expect, it } from 'vitest';
import type { PolicyEngine } from '../../src/index.js';
import { addressedSide, digestOf } from './addressed-side.js';
import { openHarness, patterned, type TestSide } from './harness.js';

const BODY = patterned(300_000);
const DIGEST = digestOf(BODY);
const PLACE = `/blobs/image/${DIGEST}`;
const WHOLE = { ecosystem: 'test', name: 'image' };

const side: TestSide = {
  ...addressedSide,
  partPath: ({ name }, { digest, mediaType }) =>
    mediaType === 'application/none' ? undefined : `/blobs/${name}/${digest}`,
};

describe('a part of something', () => {
  it('is fetched once, and kept', async () => {
    const { upstream, repository, entries } = await openHarness({ side });
    upstream.serve(PLACE, { body: BODY });
    const [one, other] = await Promise.all([
      repository.part(WHOLE, { digest: DIGEST }),
      repository.part(WHOLE, { digest: DIGEST }),
    ]);
    expect(Buffer.from((await one?.bytes(BODY.length)) ?? []).equals(BODY)).toBe(true);
    expect(other?.size).toBe(BODY.length);
    upstream.goOffline();
    expect((await repository.part(WHOLE, { digest: DIGEST }))?.size).toBe(BODY.length);
    expect(upstream.count(PLACE)).toBe(1);
    expect(await entries.find('test', PLACE.slice(1))).toMatchObject({ digest: DIGEST });
  });

  it('is nothing where there is none, and an error where nobody can say', async () => {
    const { upstream, repository } = await openHarness({ side });
    expect(await repository.part(WHOLE, { digest: DIGEST })).toBeUndefined();
    expect(await repository.part(WHOLE, { digest: DIGEST, mediaType: 'application/none' })).toBeUndefined();
    const other = digestOf('other');
    upstream.goOffline();
    await expect(repository.part(WHOLE, { digest: other })).rejects.toMatchObject({ kind: 'upstream-unavailable' });
  });

  it('is not kept when it is something else', async () => {
    const { upstream, repository, entries } = await openHarness({ side });
    upstream.serve(PLACE, { body: BODY, fault: { kind: 'wrong-bytes', times: 1 } });
    await expect(repository.part(WHOLE, { digest: DIGEST })).rejects.toMatchObject({ kind: 'integrity' });
    expect(await entries.find('test', PLACE.slice(1))).toBeUndefined();
    expect((await repository.part(WHOLE, { digest: DIGEST }))?.size).toBe(BODY.length);
  });

  it('is had by those who judge, whatever policy says of it', async () => {
    const deny: PolicyEngine = {
      revision: () => '1',
      needs: () => new Set(),
      evaluate: () => ({ action: 'deny', rules: [{ id: 'all', action: 'deny', reason: 'it is a test' }] }),
    };
    const { upstream, repository, get } = await openHarness({ side, policy: deny });
    upstream.serve(PLACE, { body: BODY });
    expect((await repository.part(WHOLE, { digest: DIGEST }))?.size).toBe(BODY.length);
    expect((await get(PLACE)).status).not.toBe(500);
  });

  it('is none in a protocol that knows no parts', async () => {
    const { upstream, repository } = await openHarness({ side: addressedSide });
    upstream.serve(PLACE, { body: BODY });
    expect(await repository.part(WHOLE, { digest: DIGEST })).toBeUndefined();
    expect(upstream.count(PLACE)).toBe(0);
  });
});
