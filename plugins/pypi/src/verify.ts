import type { ArtifactResource, Content, VerifyContext } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { CLASS } from './routes.js';

/** How much of a body is looked at, in bytes. */
const HEAD = 64 * 1024;

/**
 * Looks at bodies for which the index promises no hash: the page of a login, or a sidecar that was compressed by whoever
 * kept it, is not kept for ever as what it stands for. What has a hash was checked by it.
 * @throws EntrepotError `upstream-unavailable`, code `UPSTREAM_MALFORMED`
 */
export async function verify(
  artifact: ArtifactResource,
  content: Content,
  { description }: VerifyContext,
): Promise<void> {
  if (description !== undefined && description.integrity.length > 0) return;
  const head = await headOf(content);
  if (artifact.class === CLASS.metadata) {
    if (/^metadata-version:/im.test(head)) return;
    throw malformed(artifact.key, 'it has no Metadata-Version: it is no metadata of a distribution');
  }
  if (artifact.class === CLASS.signature) {
    if (head.trimStart().startsWith('-----BEGIN PGP ')) return;
    throw malformed(artifact.key, 'it is no armored signature');
  }
  // No archive, installer or package begins so.
  if (/^\s*</.test(head)) throw malformed(artifact.key, 'it is an HTML page');
  if (content.size === 0) throw malformed(artifact.key, 'it is empty');
}

async function headOf(content: Content): Promise<string> {
  let head = '';
  for await (const bytes of content.stream()) {
    head += Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, HEAD - head.length)).toString('latin1');
    if (head.length >= HEAD) break;
  }
  return head;
}
