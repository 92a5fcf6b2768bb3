import { randomUUID } from 'node:crypto';
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Layout, parseLayout } from '@entrepot/core/blobs';
import { withNewFile } from './new-file.js';
import { systemCode } from './storage-error.js';

/** Reads the layout of the store in a folder. `undefined`: it has none; without a version: nobody can tell. */
export async function readLayout(folder: string): Promise<Layout | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, 'layout.json'), 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  return parseLayout(text);
}

/** Writes the layout whole or not at all: half a file would lock the store. */
export async function writeLayout(folder: string, layout: Layout): Promise<void> {
  const draft = join(folder, `layout.${randomUUID()}.tmp`);
  await withNewFile(draft, async (handle) => {
    await handle.writeFile(`${JSON.stringify(layout)}\n`);
    await handle.sync();
    await rename(draft, join(folder, 'layout.json'));
    return true;
  });
}
