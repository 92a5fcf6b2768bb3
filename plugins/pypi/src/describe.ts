import type { Content, Descriptions, DocumentResource } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { PageFormatError } from './errors.js';
import { isWheel } from './file-name.js';
import { derivedMetadataKey, fileKey, METADATA_SUFFIX, provenanceKey } from './keys.js';
import { integrityOf, type PageFile } from './page-file.js';
import { describeProject } from './project-document.js';
import { checkProjectList } from './project-list.js';
import type { PageHead } from './page.js';
import { PageDescriptions, withSuffix } from './page-descriptions.js';
import { readPage } from './simple-page.js';
import { instantOf } from './instant.js';

/** The largest provenance object, in bytes. */
const PROVENANCE_LIMIT = 16 * 1024 * 1024;

/**
 * What a document of an index says of its files. A project page says everything: of its files, and of the sidecars that
 * it advertises. The other documents are checked; what they say is used for policy only.
 * @param deriveMetadata whether metadata is read out of wheels
 * @throws EntrepotError `upstream-unavailable`, code `UPSTREAM_MALFORMED`, for a body that is not such a document
 */
export async function describe(
  document: DocumentResource,
  content: Content,
  deriveMetadata = false,
): Promise<Descriptions> {
  const project = document.coordinates?.name ?? '';
  try {
    switch (document.class) {
      case 'simple':
        return await describePage(project, content, deriveMetadata);
      case 'index':
        await checkProjectList(content);
        return new Map();
      case 'project':
        return await describeProject(project, content);
      default:
        await checkProvenance(content);
        return new Map();
    }
  } catch (error) {
    if (error instanceof PageFormatError) throw malformed(document.key, error.message, error);
    throw error;
  }
}

async function describePage(project: string, content: Content, deriveMetadata: boolean): Promise<Descriptions> {
  const descriptions = new PageDescriptions();
  let head: PageHead | undefined;
  for await (const part of readPage(content, project)) {
    head = part.head;
    for (const file of part.files) describeFile(descriptions, project, file, deriveMetadata);
  }
  descriptions.settle(head?.status?.status);
  return descriptions;
}

function describeFile(descriptions: PageDescriptions, project: string, file: PageFile, deriveMetadata: boolean): void {
  const key = fileKey(project, file);
  // A page that lists a file twice: clients see the first one, and its bytes are in both places.
  if (descriptions.has(key)) {
    descriptions.addMirror(key, file.url);
    if (file.coreMetadata !== undefined)
      descriptions.addMirror(`${key}${METADATA_SUFFIX}`, withSuffix(file.url, METADATA_SUFFIX));
    return;
  }
  const common = {
    coordinates: { ecosystem: 'pypi', name: project, version: file.version },
    publishedAt: instantOf(file.uploadTime),
    yanked: file.yanked !== false,
    provenance: file.provenance === undefined ? ('none' as const) : ('attested' as const),
  };
  descriptions.set(key, { ...common, integrity: integrityOf(file.hashes), location: file.url });
  if (file.coreMetadata !== undefined) {
    const location = withSuffix(file.url, METADATA_SUFFIX);
    descriptions.set(`${key}${METADATA_SUFFIX}`, { ...common, integrity: integrityOf(file.coreMetadata), location });
  }
  if (deriveMetadata && (file.coreMetadata !== undefined || isWheel(file.filename)))
    descriptions.set(derivedMetadataKey(project, file), { ...common, integrity: [] });
  descriptions.setProvenance(provenanceKey(project, file), { ...common, integrity: [] });
  if (file.signed === false) descriptions.markUnsigned(key);
}

/** A provenance object (PEP 740). */
async function checkProvenance(content: Content): Promise<void> {
  const bytes = await content.bytes(PROVENANCE_LIMIT);
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
    if (Array.isArray((value as { attestation_bundles?: unknown } | null)?.attestation_bundles)) return;
  } catch (error) {
    throw new PageFormatError('it is not JSON', { cause: error });
  }
  throw new PageFormatError('it has no attestation bundles');
}
