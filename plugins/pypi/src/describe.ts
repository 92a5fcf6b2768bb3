import type { Content, Descriptions, DocumentResource } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { PageFormatError } from './errors.js';
import { describeProject } from './project-document.js';
import { checkProjectList } from './project-list.js';
import { readPage } from './simple-page.js';

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
        return await readPage(content, project, deriveMetadata);
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
