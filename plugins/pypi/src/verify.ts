import type { Content, Resource, VerifyContext } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { readKey } from './keys.js';

/** The length of the part of a body that is looked at, in bytes. */
const HEAD = 64 * 1024;

/**
 * Makes a check of bodies for which the index promises no hash: the page of a login, or a sidecar that a server keeps compressed,
 * is not kept for ever as what it stands for. What has a hash was checked by it.
 * @param problemIn says what is wrong with a body, given its beginning, its size and its key
 */
export function verifyBy(problemIn: (head: string, size: number, key: string) => string | undefined) {
  return async ({ key }: Resource, content: Content, { description }: VerifyContext): Promise<void> => {
    if (description !== undefined && description.integrity.length > 0) return;
    const problem = problemIn(await headOf(content, HEAD), content.size, key);
    if (problem !== undefined) throw malformed(key, problem);
  };
}

/** Finds what is wrong with an archive, an installer or a package: none of them begins as HTML does. */
export function problemInFile(head: string, size: number): string | undefined {
  if (/^\s*</.test(head)) return 'it is an HTML page';
  return size === 0 ? 'it is empty' : undefined;
}

/** Finds what is wrong with metadata. */
export function problemInMetadata(head: string): string | undefined {
  const isMetadata = /^metadata-version:/im.test(head);
  return isMetadata ? undefined : 'it has no Metadata-Version: it is no metadata of a distribution';
}

/** Finds what is wrong with a detached signature. */
export function problemInSignature(head: string, size: number, key: string): string | undefined {
  const { suffix } = readKey(key);
  // Bytes of OpenPGP, DER, base64: tools put all of them into `.sig`.
  if (suffix === '.sig') return problemInFile(head, size);
  if (suffix === '.minisig')
    return head.startsWith('untrusted comment:') ? undefined : 'it is no signature of minisign';
  return head.trimStart().startsWith('-----BEGIN PGP ') ? undefined : 'it is no armored signature';
}

/** Reads the first bytes of a body, each as one character. */
export async function headOf(content: Content, size: number): Promise<string> {
  let head = '';
  for await (const bytes of content.stream()) {
    head += Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, size - head.length)).toString('latin1');
    if (head.length >= size) break;
  }
  return head;
}
