import { mkdtemp, rm } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { EntrepotError, type ArtifactResource, type Content, type VerifyContext } from '@entrepot/core';
import { hashGoMod } from './dirhash.js';
import { readInfo } from './documents.js';
import { malformed, mismatch, proofFailure } from './errors.js';
import type { HashPool } from './hash-pool.js';
import { LARGEST_GO_MOD, LARGEST_PROOF, LARGEST_ZIP } from './limits.js';
import { hashInRecord, parseLookup } from './record.js';
import type { Routes } from './routes.js';
import { ZipError } from './zip-reader.js';

/** What verification works with. */
export interface ModuleVerification {
  readonly pool: HashPool;
  readonly record: Routes['record'];
  /** Whether the checksum database ties the module at this path. */
  readonly isVerified: (path: string) => boolean;
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

  async function promised(what: string): Promise<string | undefined> {
    if (!isVerified(path)) return undefined;
    const resource = record(path, version);
    try {
      const { text } = parseLookup(await (await read(resource)).bytes(LARGEST_PROOF));
      return hashInRecord(text, path, what);
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
    const wanted = await promised(`${version}/go.mod`);
    if (wanted === undefined && !/^[ \t]*module[ \t("]/m.test(Buffer.from(bytes).toString('latin1'))) {
      throw malformed(`${subject}.mod`, 'expected a module directive');
    }
    requireHash(`${subject} go.mod`, wanted, hashGoMod(bytes));
    return;
  }
  if (content.size > LARGEST_ZIP) throw mismatch(subject, `its zip has more than ${LARGEST_ZIP} bytes`);
  // Asked for at once: hashing takes a while.
  const [wanted, wantedGoMod, sums] = await Promise.all([
    promised(version),
    promised(`${version}/go.mod`),
    withFile(content, (file) => pool.hash({ path: file, module: path, version }, content.size)).catch(
      (error: unknown) => {
        throw error instanceof ZipError ? mismatch(`${subject} zip`, error.message, 'MODULE_ZIP') : error;
      },
    ),
  ]);
  requireHash(`${subject} zip`, wanted, sums.hash);
  if (sums.goModHash !== undefined) requireHash(`the go.mod in the zip of ${subject}`, wantedGoMod, sums.goModHash);
}

function requireHash(subject: string, wanted: string | undefined, found: string): void {
  if (wanted === undefined || wanted === found) return;
  throw mismatch(subject, `expected ${wanted}, the upstream sent ${found}`);
}

/** Hands over the bytes as a file; one that they are already in where there is one. */
async function withFile<Result>(content: Content, use: (path: string) => Promise<Result>): Promise<Result> {
  if (content.path !== undefined) return await use(content.path);
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-go-'));
  try {
    const path = join(folder, 'module.zip');
    await pipeline(content.stream(), createWriteStream(path));
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
