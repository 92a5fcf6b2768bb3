import { EntrepotError, type Content, type Resource, type VerifyContext } from '@entrepot/core';
import { malformed, ZipError } from '@entrepot/core/formats';
import { hashGoMod, LARGEST_GO_MOD, LARGEST_ZIP } from './dirhash.js';
import { mismatch, proofFailure } from './errors.js';
import { parseInfo } from './info.js';
import { moduleOf } from './module-path.js';
import { hashInRecord, LARGEST_PROOF, parseLookup } from './note.js';
import type { GoProxy } from './routes.js';

/** Checks that an `.info` is of the version that it was asked for. */
export async function verifyInfo(resource: Resource, content: Content): Promise<void> {
  const { version } = moduleOf(resource);
  const found = await parseInfo(content, resource);
  if (found.version !== version) throw malformed(resource.key, `it is of version ${found.version}`);
}

/**
 * Checks a `go.mod` by its checksum in the authenticated record.
 * @throws EntrepotError `integrity`; `upstream-unavailable` when the record cannot be had
 */
export async function verifyGoMod(resource: Resource, content: Content, context: VerifyContext, go: GoProxy) {
  const subject = subjectOf(resource);
  if (content.size > LARGEST_GO_MOD) throw mismatch(subject, `its go.mod has more than ${LARGEST_GO_MOD} bytes`);
  const bytes = await content.bytes(LARGEST_GO_MOD);
  const promised = await promisedHashes(resource, context, go);
  if (promised.goMod === undefined && !/^[ \t]*module[ \t("]/m.test(Buffer.from(bytes).toString('latin1'))) {
    throw malformed(resource.key, 'expected a module directive');
  }
  requireHash(`${subject} go.mod`, promised.goMod, hashGoMod(bytes));
}

/**
 * Checks a zip, and the `go.mod` in it, by Go's rules and by their checksums in the authenticated record.
 * @throws EntrepotError `integrity`; `upstream-unavailable` when the record cannot be had
 */
export async function verifyZip(resource: Resource, content: Content, context: VerifyContext, go: GoProxy) {
  const subject = subjectOf(resource);
  const { path: module, version } = moduleOf(resource);
  if (content.size > LARGEST_ZIP) throw mismatch(subject, `its zip has more than ${LARGEST_ZIP} bytes`);
  const source = content.path ?? (await content.bytes(LARGEST_ZIP));
  // Asked for at once: hashing takes a while.
  const [promised, found] = await Promise.all([
    promisedHashes(resource, context, go),
    go.pool.hash({ source, module, version }, content.size).catch((error: unknown) => {
      throw error instanceof ZipError ? mismatch(`${subject} zip`, error.message, 'MODULE_ZIP') : error;
    }),
  ]);
  requireHash(`${subject} zip`, promised.zip, found.hash);
  if (found.goModHash !== undefined) {
    requireHash(`the go.mod in the zip of ${subject}`, promised.goMod, found.goModHash);
  }
}

/** Reads the `h1:` hashes that the checksum database promises of a version and of its `go.mod`. None where it does not tie them. */
async function promisedHashes(
  resource: Resource,
  { read }: VerifyContext,
  go: GoProxy,
): Promise<{ readonly zip?: string; readonly goMod?: string }> {
  const record = go.recordFor(resource);
  if (record === undefined) return {};
  const { path, version } = moduleOf(resource);
  try {
    const { text } = parseLookup(await (await read(record)).bytes(LARGEST_PROOF));
    return { zip: hashInRecord(text, path, version), goMod: hashInRecord(text, path, `${version}/go.mod`) };
  } catch (error) {
    if (error instanceof EntrepotError && (error as EntrepotError).kind === 'not-found') {
      const advice = 'list it under "unverified" or "private" if it is not public';
      throw mismatch(subjectOf(resource), `the checksum database has no record of it (${advice})`, 'CHECKSUM_UNKNOWN');
    }
    throw proofFailure(subjectOf(resource), error);
  }
}

function subjectOf(resource: Resource): string {
  const { path, version } = moduleOf(resource);
  return `${path}@${version}`;
}

function requireHash(subject: string, wanted: string | undefined, found: string): void {
  if (wanted === undefined || wanted === found) return;
  throw mismatch(subject, `expected ${wanted}, the upstream sent ${found}`);
}
