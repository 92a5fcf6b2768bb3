import { ZipError, ZipReader } from '@entrepot/core/formats';

/** The largest metadata that is taken out of a wheel, in bytes: descriptions are part of it. */
const METADATA_LIMIT = 8 * 1024 * 1024;

/** The one `<name>.dist-info/METADATA` of the wheel at `path` (PEP 427). @throws ZipError for a file that is no wheel, or has none or several */
export function metadataOf(path: string): Uint8Array {
  const zip = new ZipReader(path);
  try {
    const [found, another] = zip.files.filter(({ name }) => /^[^/]+\.dist-info\/METADATA$/.test(name));
    if (found === undefined) throw new ZipError('it has no METADATA');
    if (another !== undefined) throw new ZipError('it has more than one METADATA');
    const bytes = zip.whole(found, METADATA_LIMIT);
    if (bytes === undefined) throw new ZipError(`its METADATA has more than ${METADATA_LIMIT} bytes`);
    return bytes;
  } finally {
    zip.close();
  }
}
