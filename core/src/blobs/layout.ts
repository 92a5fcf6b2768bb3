/** The version of the layout that this program knows, in folders and in buckets. */
export const LAYOUT_VERSION = 1;

/** The file that says how a store is laid out, and which one it is. */
export interface Layout {
  readonly version: unknown;
  readonly storeId?: string | undefined;
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

/** The version for messages. */
export function printVersion({ version }: Layout): string {
  return version === undefined ? 'none that can be read' : JSON.stringify(version);
}
