import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tryFolder } from '../../../src/drivers/blob/folder-probe.js';
import { networkFileSystem } from '../../../src/drivers/sql/network-file-system.js';

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'entrepot-probe-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Whether a small file system without room could be mounted. */
function mountFull(place: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k,nr_inodes=2', 'tmpfs', place], { stdio: 'ignore' });
    onTestFinished(() => void execFileSync('umount', [place]));
    return true;
  } catch {
    return false;
  }
}

describe('a folder for blobs', () => {
  it('is tried, and nothing is left in it', async () => {
    const place = folder();
    await tryFolder(place);
    expect(readdirSync(place)).toEqual([]);
  });

  it('that is not there is said', async () => {
    await expect(tryFolder(join(folder(), 'none'))).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/cannot keep a file \(ENOENT\)/),
    });
  });

  it('may be full: what is kept is served all the same', async (context) => {
    const place = folder();
    // Where such a mount cannot be made there is nothing to try.
    if (!mountFull(place)) return context.skip();
    await tryFolder(place);
    expect(readdirSync(place)).toEqual([]);
  });
});

describe('a file system of another machine', () => {
  it.each([
    [0x6969, 'NFS'],
    [-0x2acbda, undefined],
    [0xff534d42 | 0, 'CIFS'],
    [0x00c36400, 'CephFS'],
    [0xef53, undefined],
  ])('is known by its number: %i', (type, name) => {
    expect(networkFileSystem(type)).toBe(process.platform === 'linux' ? name : undefined);
  });

  it('is not that of temporary files', async () => {
    expect(networkFileSystem((await statfs(tmpdir())).type)).toBeUndefined();
  });
});
