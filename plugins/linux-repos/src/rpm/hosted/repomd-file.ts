import { documentName, LISTS } from './keys.js';
import type { TreeState } from './tree-state.js';

/** Writes the `repomd.xml` of a tree. */
export function printRepomd({ date, documents }: TreeState): string {
  const seconds = Math.floor(date / 1000);
  const items = LISTS.map((list) => {
    const { sha256, size, openSha256, openSize } = documents[list];
    return `  <data type="${list}">
    <checksum type="sha256">${sha256}</checksum>
    <open-checksum type="sha256">${openSha256}</open-checksum>
    <location href="repodata/${documentName(list, sha256)}"/>
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
