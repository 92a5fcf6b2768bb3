import { EntrepotError, type ArtifactResource, type Content, type VerifyContext } from '@entrepot/core';
import { malformed, ZipError } from '@entrepot/core/formats';
import { hashGoMod } from './dirhash.js';
import { readInfo } from './documents.js';
import { mismatch, proofFailure } from './errors.js';
import type { HashPool } from './hash-pool.js';
import { LARGEST_GO_MOD, LARGEST_PROOF, LARGEST_ZIP } from './limits.js';
import { hashInRecord, parseLookup } from './record.js';
import type { Routes } from './routes.js';

/** What verification works with. */
export interface ModuleVerification {
  readonly pool: HashPool;
  readonly record: Routes['record'];
  /** Whether the checksum database ties the module at this path. */
  readonly isVerified: (path: string) => boolean;
}

/** The `h1:` hashes that a record promises. */
interface Promised {
  readonly zip?: string;
  readonly goMod?: string;
}

/**
 * Checks a file of a module version before it is kept: an `.info` by what it names, `.mod` and `.zip` by Go's rules and
 * their checksums in the authenticated record.
 * @throws EntrepotError `integrity`; `upstream-unavailable` when the record cannot be had
 */
export async function verifyModuleFile(
  artifact: ArtifactResource,
  content: Content,
  { read }: VerifyContext,
  { pool, record, isVerified }: ModuleVerification,
): Promise<void> {
  const { name: path = '', version = '' } = artifact.coordinates ?? {};
  const subject = `${path}@${version}`;

  /** The checksums of the version and of its `go.mod`, by the checksum database; `undefined` where it does not tie them. */
  async function promised(): Promise<Promised> {
    if (!isVerified(path)) return {};
    try {
      const { text } = parseLookup(await (await read(record(path, version))).bytes(LARGEST_PROOF));
      return { zip: hashInRecord(text, path, version), goMod: hashInRecord(text, path, `${version}/go.mod`) };
    } catch (error) {
      if (error instanceof EntrepotError && (error as EntrepotError).kind === 'not-found') {
        const advice = 'list it under "unverified" or "private" if it is not public';
        throw mismatch(subject, `the checksum database has no record of it (${advice})`, 'CHECKSUM_UNKNOWN');
      }
      throw proofFailure(subject, error);
    }
  }

  if (artifact.filename.endsWith('.info')) {
    const { version: found } = await readInfo(`${subject}.info`, content);
    if (found !== version) throw malformed(`${subject}.info`, `it is of version ${found}`);
    return;
  }
  if (artifact.filename.endsWith('.mod')) {
    if (content.size > LARGEST_GO_MOD) throw mismatch(subject, `its go.mod has more than ${LARGEST_GO_MOD} bytes`);
    const bytes = await content.bytes(LARGEST_GO_MOD);
    const { goMod: wanted } = await promised();
    if (wanted === undefined && !/^[ \t]*module[ \t("]/m.test(Buffer.from(bytes).toString('latin1'))) {
      throw malformed(`${subject}.mod`, 'expected a module directive');
    }
    requireHash(`${subject} go.mod`, wanted, hashGoMod(bytes));
    return;
  }
  if (content.size > LARGEST_ZIP) throw mismatch(subject, `its zip has more than ${LARGEST_ZIP} bytes`);
  // Asked for at once: hashing takes a while.
  const [wanted, sums] = await Promise.all([
    promised(),
    pool
      .hash({ source: content.path ?? (await content.bytes(LARGEST_ZIP)), module: path, version }, content.size)
      .catch((error: unknown) => {
        throw error instanceof ZipError ? mismatch(`${subject} zip`, error.message, 'MODULE_ZIP') : error;
      }),
  ]);
  requireHash(`${subject} zip`, wanted.zip, sums.hash);
  if (sums.goModHash !== undefined) requireHash(`the go.mod in the zip of ${subject}`, wanted.goMod, sums.goModHash);
}

function requireHash(subject: string, wanted: string | undefined, found: string): void {
  if (wanted === undefined || wanted === found) return;
  throw mismatch(subject, `expected ${wanted}, the upstream sent ${found}`);
}
