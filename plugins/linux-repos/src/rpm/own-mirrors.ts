import { upstreamPath } from '../shared/resources.js';
import type { OwnMirrors, Published } from '../shared/own-mirrors.js';

const METALINK = 'metalink';
const MIRRORLIST = 'mirrorlist';

/** The bound on earlier states whose sums a metalink has. */
const MOST_EARLIER = 10;

/**
 * Lists of mirrors that name this server alone: for dnf with `mirrorlist` or `metalink`. librepo takes no other repomd.xml than one whose
 * sum the metalink has.
 */
export const RPM_MIRRORS: OwnMirrors = {
  names: [METALINK, MIRRORLIST],
  mediaTypeOf: (name) => (name === METALINK ? 'application/metalink+xml' : 'text/plain; charset=utf-8'),
  print(name, url, published) {
    const place = upstreamPath(published.place);
    const root = place === '' ? url : `${url}/${place}`;
    return name === METALINK ? metalinkOf(`${root}/repodata/repomd.xml`, published) : `${root}/\n`;
  },
};

/** Writes a metalink, with the elements that MirrorManager has besides. */
function metalinkOf(url: string, { generation, earlier }: Published): string {
  const alternates = earlier.slice(0, MOST_EARLIER).map(
    (one) => `
    <mm0:alternate>${factsOf(one, '     ')}
    </mm0:alternate>`,
  );
  const others =
    alternates.length === 0
      ? ''
      : `
   <mm0:alternates>${alternates.join('')}
   </mm0:alternates>`;
  const protocol = url.slice(0, url.indexOf(':'));
  return `<?xml version="1.0" encoding="UTF-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="repomd.xml">${factsOf(generation, '   ')}${others}
   <resources maxconnections="1">
    <url protocol="${protocol}" type="${protocol}" preference="100">${escaped(url)}</url>
   </resources>
  </file>
 </files>
</metalink>
`;
}

function factsOf({ at, date = at, size, sha256 }: Published['generation'], indent: string): string {
  const lines = [
    `<mm0:timestamp>${Math.floor(date / 1000)}</mm0:timestamp>`,
    ...(size === undefined ? [] : [`<size>${size}</size>`]),
    `<verification><hash type="sha256">${sha256}</hash></verification>`,
  ];
  return lines.map((line) => `\n${indent}${line}`).join('');
}

/** Percent-encoded text has no other signs of XML, but a host may be anything that a request says. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
