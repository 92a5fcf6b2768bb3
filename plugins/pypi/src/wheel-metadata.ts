import { ZipError, ZipReader } from '@entrepot/core/formats';

/** The largest metadata that is taken out of a wheel, in bytes: descriptions are part of it. */
const METADATA_LIMIT = 8 * 1024 * 1024;

/** The metadata of a wheel, or why it has none. */
export type WheelMetadata = { readonly bytes: Uint8Array } | { readonly refused: string };

/** The one `<name>.dist-info/METADATA` of the wheel at `path` (PEP 427). */
export function metadataOf(path: string): WheelMetadata {
  try {
    const zip = new ZipReader(path);
    try {
      const [found, another] = zip.files.filter(({ name }) => /^[^/]+\.dist-info\/METADATA$/.test(name));
      if (found === undefined) return { refused: 'it has no METADATA' };
      if (another !== undefined) return { refused: 'it has more than one METADATA' };
      const bytes = zip.whole(found, METADATA_LIMIT);
      return bytes === undefined ? { refused: `its METADATA has more than ${METADATA_LIMIT} bytes` } : { bytes };
    } finally {
      zip.close();
    }
  } catch (error) {
    if (error instanceof ZipError) return { refused: error.message };
    throw error;
  }
}
