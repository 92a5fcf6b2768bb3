import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Hands a new empty folder to `use` and removes it afterwards.
 * Not inside the repository: clients look for a project in every folder above the one they run in.
 * @template T
 * @param {string} name
 * @param {(folder: string) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withScratch(name, use) {
  const folder = await mkdtemp(join(tmpdir(), `entrepot-${name}-`));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
