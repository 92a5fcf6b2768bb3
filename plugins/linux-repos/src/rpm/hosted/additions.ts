import { EntrepotError, type Content } from '@entrepot/core';
import { XmlReader } from '@entrepot/core/formats';

/** Metadata besides the lists of packages, by the names that they are put under: as clients call them in repomd.xml. */
export const ADDITIONS = {
  'comps.xml': { type: 'group', root: '/comps' },
  'updateinfo.xml': { type: 'updateinfo', root: '/updates' },
  'modules.yaml': { type: 'modules', root: undefined },
} as const;

export type AdditionName = keyof typeof ADDITIONS;

/** The largest that is taken, in bytes. Those of a whole distribution have 30 MB. */
export const LARGEST_ADDITION = 64 * 1024 * 1024;

export function isAddition(name: string): name is AdditionName {
  return Object.hasOwn(ADDITIONS, name);
}

/** Checks that metadata is of its kind. It is passed on as it is. @throws EntrepotError `bad-request` for another file */
export async function checkAddition(name: AdditionName, content: Pick<Content, 'stream'>): Promise<void> {
  const { root } = ADDITIONS[name];
  if (root === undefined) return await checkModules(name, content);
  let found: string | undefined;
  const reader = new XmlReader(name, { open: (path) => void (found ??= path), close: () => {} });
  try {
    let beginning: Buffer | undefined = Buffer.alloc(0);
    for await (const piece of content.stream()) {
      if (beginning === undefined) {
        reader.write(piece);
        continue;
      }
      beginning = Buffer.concat([beginning, piece]);
      if (beginning.length < BEGINNING) continue;
      reader.write(withoutDoctype(beginning));
      beginning = undefined;
    }
    if (beginning !== undefined) reader.write(withoutDoctype(beginning));
    reader.end();
  } catch (error) {
    throw error instanceof EntrepotError && error.kind === 'upstream-unavailable'
      ? refused(name, error.message)
      : error;
  }
  if (found !== root) throw refused(name, `expected an element "${root.slice(1)}", found "${found?.slice(1)}"`);
}

/** Modules are YAML documents, each of which says what it is. */
async function checkModules(name: string, { stream }: Pick<Content, 'stream'>): Promise<void> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let [last, isModule] = ['', false];
  try {
    for await (const piece of stream()) {
      const text = last + decoder.decode(piece, { stream: true });
      isModule ||= /^document: modulemd/m.test(text);
      last = text.slice(-LONGEST_WORDS);
    }
    decoder.decode();
  } catch (error) {
    throw error instanceof TypeError ? refused(name, 'expected text in UTF-8, not packed') : error;
  }
  if (!isModule) throw refused(name, 'expected a line "document: modulemd" in it');
}

/** Characters of the words that are looked for, and some. */
const LONGEST_WORDS = 32;

/** Bytes that have the document type, where there is one. */
const BEGINNING = 4096;

/** Files of groups name their document type, which is not read. One with declarations of its own is refused. */
function withoutDoctype(bytes: Buffer): Buffer {
  const start = bytes.indexOf('<!DOCTYPE');
  const end = bytes.indexOf('>', start);
  if (start === -1 || end === -1 || bytes.subarray(start, end).includes('[')) return bytes;
  return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end + 1)]);
}

function refused(name: string, problem: string): EntrepotError {
  return new EntrepotError('bad-request', `${name} is not taken: ${problem}`);
}
