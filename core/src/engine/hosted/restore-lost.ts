import type { Entry } from '../../api/entry-index.js';
import type { ReplyParts } from '../reply/reply-parts.js';
import type { EngineServices } from '../store/repository.js';
import type { UploadBody } from '../store/upload-body.js';
import { sourceOfBody } from './store-parts.js';

/** Whether the bytes of an entry are damaged or missing, as far as that is known. */
export async function isLost({ storage }: EngineServices, { digest, size }: Entry): Promise<boolean> {
  return (await storage.blobs.store.stat(digest))?.size !== size;
}

/**
 * Puts the bytes of an upload, where entries point at just these and have lost them: also where the repository takes no change of
 * what exists, and the upload is refused.
 * @returns whether it did
 */
export async function restoreLost(
  { definition, services }: Pick<ReplyParts, 'definition' | 'services'>,
  body: UploadBody,
): Promise<boolean> {
  const { blobs } = services.storage;
  const { digest, size } = body;
  if ((await blobs.store.stat(digest))?.size === size) return false;
  if (!(await services.entries.referenced([digest])).has(digest)) return false;
  services.logger.info({ repository: definition.name, digest }, 'an upload brings bytes that were lost');
  return await blobs.restore(definition.name, body, sourceOfBody(body));
}
