import { randomUUID } from 'node:crypto';
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { withNewFile } from './new-file.js';
import { systemCode } from './storage-error.js';

/** The version of the layout that this program knows, in folders and in buckets. */
export const LAYOUT_VERSION = 1;

/** The file that says how a store is laid out, and which one it is. */
export interface Layout {
  readonly version: unknown;
  readonly storeId?: string | undefined;
}

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

/** Reads the text of a layout file. Without a version: nobody can tell. */
export function parseLayout(text: string): Layout {
  try {
    const found: unknown = JSON.parse(text);
    if (typeof found !== 'object' || found === null) return { version: undefined };
    const { version, storeId } = found as Record<string, unknown>;
    return { version, storeId: typeof storeId === 'string' ? storeId : undefined };
  } catch {
    // Whatever it is, it is no layout file of ours.
    return { version: undefined };
  }
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

/** The version for messages. */
export function printVersion({ version }: Layout): string {
  return version === undefined ? 'none that can be read' : JSON.stringify(version);
}
