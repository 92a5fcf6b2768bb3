import { EntrepotError, type Content, type Resource, type VerifyContext } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { attributesOf, type MavenProxy } from './proxy.js';
import { readSidecar, sumsOf } from './sums.js';

/** Endings of archives in the form of ZIP files. */
const ARCHIVE = /\.(?:jar|war|ear|aar|zip|hpi|jmod|nar|par|rar|sar|kar|klib)$/;
const XML = /\.(?:pom|xml)$/;
/** The most that is read to see what a file is. */
const BEGINNING = 1024;

/**
 * Refuses what an upstream sends in place of a file: a page, nothing, something else. A file that changes is compared with its sum, which
 * core does with others; where it is to be warned of alone, the log is told of one that differs.
 */
export async function checkFile(
  resource: Resource,
  content: Content,
  { read }: VerifyContext,
  self: MavenProxy,
): Promise<void> {
  const { path } = attributesOf(resource).subject;
  await checkForm(path, content);
  const isWarnedOf = self.options.verifyChecksums === 'warn';
  const isCompared = self.options.verifyChecksums === 'verify' && self.isChanging(resource);
  if (!isWarnedOf && !isCompared) return;
  const mismatch = await mismatchOf(resource, content, read, self).catch((error: unknown) => {
    if (isCompared) throw error;
    self.logger.warn({ path, error }, 'the sum of a file could not be asked for');
    return undefined;
  });
  if (mismatch === undefined) return;
  if (isCompared) throw malformed(path, mismatch);
  self.logger.warn({ path }, `a file is served that differs from its sum: ${mismatch}`);
}

/** Refuses a body that has not the form that the name of its file says. */
export async function checkForm(path: string, content: Content): Promise<void> {
  const beginning = await beginningOf(content);
  const text = beginning
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart();
  if (ARCHIVE.test(path)) {
    if (!beginning.subarray(0, 2).equals(PK)) throw malformed(path, `expected an archive, found ${seen(text)}`);
  } else if (XML.test(path)) {
    if (!text.startsWith('<') || PAGE.test(text)) throw malformed(path, `expected XML, found ${seen(text)}`);
  } else if (PAGE.test(text) && !/\.html?$/.test(path)) throw malformed(path, 'expected a file, found a page');
}

const PK = Buffer.from('PK');
const PAGE = /^<(?:!doctype\s+html|html)[\s>]/i;

async function beginningOf(content: Content): Promise<Buffer> {
  let found = Buffer.alloc(0);
  for await (const bytes of content.stream()) {
    found = Buffer.concat([found, bytes.subarray(0, BEGINNING - found.length)]);
    if (found.length >= BEGINNING) break;
  }
  return found;
}

function seen(text: string): string {
  if (text === '') return 'nothing';
  return PAGE.test(text) ? 'a page' : 'something else';
}

/** Says what differs. `undefined`: nothing, or the upstream has no sum. */
async function mismatchOf(
  resource: Resource,
  content: Content,
  read: VerifyContext['read'],
  self: MavenProxy,
): Promise<string | undefined> {
  try {
    const stated = await readSidecar('sha1', await read(self.comparedSum(resource)));
    const { sha1 } = await sumsOf(['sha1'], content);
    return stated === undefined || stated === sha1 ? undefined : `expected sha1:${stated}, found sha1:${sha1}`;
  } catch (error) {
    if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
    throw error;
  }
}
