import { createHash } from 'node:crypto';
import type { Content } from '@entrepot/core';
import { builtProgram, WorkerLimitError, WorkerPool } from '@entrepot/core/formats';
import { ByteReader, hashed } from '../../shared/hosted/byte-reader.js';
import { sha256Of } from '../../shared/hosted/sums.js';
import { describe, describing, type DescribeTask, type Description } from './describe.js';
import { broken, Header, readHeaderBytes } from './header.js';
import { SIGNATURE_TAG, TAG } from './tags.js';

/** A package, read. */
export interface RpmFile extends Description {
  /** Of the whole file, in hex. */
  readonly sha256: string;
}

const LEAD = 96;
const LEAD_MAGIC = 'edabeedb';
/** The number of SHA-256 among OpenPGP's algorithms. */
const SHA256 = 8;
/** Bytes of a header that is read faster than a thread is started. */
const SMALL = 256 * 1024;

const threads = new WorkerPool(builtProgram(import.meta.url, 'describe-worker', describing), {
  most: 2,
  // The memory that one header took is given back.
  keepIdle: 0,
  patience: 60_000,
  limits: { maxOldGenerationSizeMb: 1024 },
});

/**
 * Reads a package to its end, in bounded memory: what its header says, for lists of packages, and its sum. Its payload is not unpacked.
 * @param time when it was published, in seconds since the epoch
 * @throws EntrepotError `bad-request` for what is no package, or a damaged one
 */
export async function readRpm({ size, stream }: Pick<Content, 'size' | 'stream'>, time: number): Promise<RpmFile> {
  const whole = createHash('sha256');
  const reader = new ByteReader(hashed(stream(), whole), () => broken('it ends too early'));
  try {
    requireLead(await reader.take(LEAD));
    const signatureBytes = await readHeaderBytes(reader, 'its signature header');
    const padding = (8 - (signatureBytes.length % 8)) % 8;
    await reader.skip(padding);
    const signature = Header.parse(signatureBytes, 'its signature header');
    const bytes = await readHeaderBytes(reader, 'its header');
    requireSum(signature.text(SIGNATURE_TAG.sha256), await sha256Of(bytes), 'header');
    await requirePayload(reader, Header.parse(bytes, 'its header'));
    const sha256 = whole.digest('hex');
    const archiveSize =
      signature.number(SIGNATURE_TAG.longArchiveSize) ?? signature.number(SIGNATURE_TAG.archiveSize) ?? 0;
    const start = LEAD + signatureBytes.length + padding;
    return { sha256, ...(await described({ header: bytes, sha256, size, start, archiveSize, time })) };
  } finally {
    await reader.close();
  }
}

function requireLead(lead: Buffer): void {
  if (lead.toString('hex', 0, 4) !== LEAD_MAGIC) throw broken('expected a file that begins with the magic of RPM');
  const major = lead.readUInt8(4);
  if (major < 3) throw broken(`it is of version ${major} of the format, expected 3 or later`);
}

/** Reads the payload, and checks it where the header has its sum. */
async function requirePayload(reader: ByteReader, header: Header): Promise<void> {
  const isKnown = header.has(TAG.payloadDigests) && header.number(TAG.payloadDigestAlgorithm) === SHA256;
  const expected = isKnown ? header.texts(TAG.payloadDigests).next().value : undefined;
  const hash = createHash('sha256');
  for await (const piece of reader.rest()) if (expected !== undefined) hash.update(piece);
  requireSum(expected, hash.digest('hex'), 'payload');
}

function requireSum(expected: string | undefined, found: string, part: string): void {
  if (expected !== undefined && expected.toLowerCase() !== found)
    throw broken(`its ${part} has the SHA-256 ${found}, and it says ${JSON.stringify(expected)}: it is damaged`);
}

async function described(task: DescribeTask): Promise<Description> {
  if (task.header.length <= SMALL) return describe(task);
  try {
    const answer = await threads.run(task);
    if ('refused' in answer) throw broken(answer.refused.replace(/^This is no RPM package: /, ''));
    return answer;
  } catch (error) {
    if (error instanceof WorkerLimitError) throw broken(`reading its header takes too much ${error.exceeded}`);
    throw error;
  }
}
