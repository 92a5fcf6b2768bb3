import assert from 'node:assert/strict';
import type { HostedCleanup } from '../engine/store/repository.js';
import { sideOf } from '../engine/request/protocol.js';
import type { StoredVersion } from '../plugin/cleanup.js';
import {
  assertListed,
  assertThere,
  type HostedFixture,
  type HostedProtocolSubject,
  type HostedUpload,
  keysOf,
  labelOf,
  publish,
} from './hosted-uploads.js';
import { asRequest, routeRequest } from './route-table.js';
import type { Checks } from './suite.js';
import type { TestRepository } from './test-repository.js';

/** A publication that cleanup may remove. */
interface Retirable {
  readonly upload: HostedUpload;
  readonly version: StoredVersion;
}

/** Checks the hooks by which rules remove versions. */
export function defineCleanup({ checkIf }: Checks<HostedFixture>, { plugin }: HostedProtocolSubject): void {
  const cleans = sideOf(plugin, 'hosted')?.cleanup !== undefined;
  const reason = 'the plugin has no cleanup';

  checkIf(cleans, reason, 'names what may be removed, each once and as it is', async ({ subject, open }) => {
    const repository = await open();
    for (const upload of subject.uploads) await publish(repository, upload);
    const before = await keysOf(repository);
    const groups = await Array.fromAsync(cleanupOf(repository).stored());
    const groupOf = new Map<string, readonly StoredVersion[]>();
    const keys = new Set<string>();
    for (const group of groups) {
      for (const { entry, name, version } of group) {
        const label = `${name} ${version ?? ''} (${entry.key})`;
        assert.equal((await repository.entries.find('test', entry.key))?.digest, entry.digest, `the entry of ${label}`);
        assert.ok(!keys.has(entry.key), `${label}: expected it once`);
        keys.add(entry.key);
        if (version === undefined) continue;
        assert.ok((groupOf.get(name) ?? group) === group, `${label}: expected all versions of its name with it`);
        groupOf.set(name, group);
      }
    }
    assert.ok(keys.size > 0, 'expected something that may be removed, found nothing');
    assert.deepEqual(await keysOf(repository), before, 'what is kept after it was looked at');
  });

  checkIf(cleans, reason, 'has no more what cleanup removed, and all else', async ({ subject, open }) => {
    for (const { upload } of await retirableOf(await filled(subject, open), subject)) {
      const repository = await filled(subject, open);
      const all = await retirableOf(repository, subject);
      const { version } = all.find((one) => one.upload === upload) as Retirable;
      const label = `${labelOf(upload.get)} after cleanup`;
      const before = await keysOf(repository);
      const cleanup = cleanupOf(repository);
      const planned = await cleanup.retire([{ version }], { dryRun: true });
      assert.deepEqual(await keysOf(repository), before, `what is kept after a dry run for ${labelOf(upload.get)}`);
      const { retired, removed } = await cleanup.retire([{ version }]);
      assert.deepEqual(retired, [version], `${label}: what is said to be gone`);
      assert.deepEqual(keys(removed), keys(planned.removed), `${label}: what a dry run had said`);
      for (const method of ['GET', 'HEAD'])
        assert.equal((await repository.ask({ ...asRequest(upload.get), method })).status, 404, `${method} ${label}`);
      await assertShown(repository, upload, false);
      for (const other of all) {
        if (other.upload === upload) continue;
        await assertThere(repository, other.upload);
        await assertShown(repository, other.upload, true);
      }
      await publish(repository, upload);
      await assertThere(repository, upload);
      await assertShown(repository, upload, true);
    }
  });

  checkIf(cleans, reason, 'loses nothing that is published while it cleans up', async ({ subject, open }) => {
    const names = (await retirableOf(await filled(subject, open), subject)).map(({ upload }) => upload);
    const [first, ...others] = names as [HostedUpload, ...HostedUpload[]];
    const repository = await open();
    const replica = await open({ stores: repository });
    await publish(repository, first);
    const [{ version }] = (await retirableOf(repository, subject)) as [Retirable];
    await Promise.all([
      cleanupOf(repository).retire([{ version }]),
      ...others.map((upload, index) => publish(index % 2 === 0 ? replica : repository, upload)),
    ]);
    repository.clock.advance(1_000);
    assert.equal((await repository.ask(first.get)).status, 404, `${labelOf(first.get)} after cleanup`);
    await assertShown(repository, first, false);
    for (const upload of others) {
      await assertThere(repository, upload);
      await assertShown(repository, upload, true);
    }
  });
}

/** Opens a repository that has everything. */
async function filled({ uploads }: HostedProtocolSubject, open: HostedFixture['open']): Promise<TestRepository> {
  const repository = await open();
  for (const upload of uploads) await publish(repository, upload);
  return repository;
}

/** Finds the publications that cleanup may remove; at least one. */
async function retirableOf(
  repository: TestRepository,
  { plugin, uploads }: HostedProtocolSubject,
): Promise<readonly Retirable[]> {
  const versions = (await Array.fromAsync(cleanupOf(repository).stored())).flat();
  const found = uploads.flatMap((upload) => {
    const resource = routeRequest(repository.protocol, asRequest(upload.get), plugin.http);
    const key = typeof resource === 'object' && 'key' in resource ? resource.key : undefined;
    const version = versions.find(({ entry }) => entry.key === key);
    return version === undefined ? [] : [{ upload, version }];
  });
  assert.ok(found.length > 0, 'uploads: expected one whose entry stands for a version, found none');
  return found;
}

async function assertShown(repository: TestRepository, upload: HostedUpload, expected: boolean): Promise<void> {
  if (upload.listed === undefined) return;
  await assertListed(repository, upload as Required<HostedUpload>, expected, 'after cleanup');
}

function cleanupOf({ engine }: TestRepository): HostedCleanup {
  return engine.cleanup as HostedCleanup;
}

function keys(entries: readonly { readonly key: string }[]): readonly string[] {
  return entries.map(({ key }) => key).sort();
}
