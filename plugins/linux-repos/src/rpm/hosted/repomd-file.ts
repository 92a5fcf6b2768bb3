import { ADDITIONS, type AdditionName } from './additions.js';
import { documentName, LISTS, type DocumentName } from './keys.js';
import type { ListDocument, TreeState } from './tree-state.js';

/** Writes the `repomd.xml` of a tree. */
export function printRepomd({ date, documents, additions = {} }: TreeState): string {
  const seconds = Math.floor(date / 1000);
  const all: readonly (readonly [type: string, name: DocumentName, document: ListDocument])[] = [
    ...LISTS.map((list) => [list, list, documents[list]] as const),
    ...(Object.keys(ADDITIONS) as AdditionName[]).flatMap((name) => {
      const document = additions[name];
      return document === undefined ? [] : [[ADDITIONS[name].type, name, document] as const];
    }),
  ];
  const items = all.map(([type, name, { sha256, size, openSha256, openSize }]) => {
    return `  <data type="${type}">
    <checksum type="sha256">${sha256}</checksum>
    <open-checksum type="sha256">${openSha256}</open-checksum>
    <location href="repodata/${documentName(name, sha256)}"/>
    <timestamp>${seconds}</timestamp>
    <size>${size}</size>
    <open-size>${openSize}</open-size>
  </data>
`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>${seconds}</revision>
${items.join('')}</repomd>
`;
}
