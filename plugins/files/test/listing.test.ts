import { describe, expect, it } from 'vitest';
import type { Entry } from '@entrepot/core';
import { renderListing } from '../src/listing.js';
import type { ListingFormat } from '../src/listing.js';

function entryOf(key: string): Entry {
  return {
    repository: 'files',
    key,
    digest: `sha256:${'0'.repeat(64)}`,
    size: 12,
    mediaType: 'application/zip',
    headers: {},
    fetchedAt: 0,
    checkedAt: 0,
    integrity: [],
  };
}

async function listingOf(prefix: string, keys: readonly string[], format: ListingFormat = 'json'): Promise<string> {
  const entries = async function* () {
    for (const key of keys) yield entryOf(key);
  };
  let text = '';
  for await (const piece of await renderListing('uploads', prefix, entries(), format)) text += piece;
  return text;
}

describe('renderListing', () => {
  it('has the files and each sub-directory once', async () => {
    const keys = ['d/a.zip', 'd/b/1.zip', 'd/b/2.zip', 'd/b/c/3.zip', 'd/z.zip'];
    expect(JSON.parse(await listingOf('d/', keys))).toEqual([
      { name: 'a.zip', type: 'file', mtime: 'Thu, 01 Jan 1970 00:00:00 GMT', size: 12, digest: entryOf('').digest },
      { name: 'b', type: 'directory' },
      expect.objectContaining({ name: 'z.zip', type: 'file' }),
    ]);
  });

  it('lists the root, also when it is empty', async () => {
    expect(JSON.parse(await listingOf('', ['a/b', 'c']))).toMatchObject([{ name: 'a' }, { name: 'c' }]);
    expect(JSON.parse(await listingOf('', []))).toEqual([]);
  });

  it('knows no directory without files', async () => {
    await expect(listingOf('d/', [])).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('escapes names in text and links', async () => {
    const html = await listingOf('', ['<b>"&\'.zip', 'a:b c%253F.zip', 'ä/x'], 'html');
    expect(html).toContain('<a href="./%3Cb%3E%22%26&#39;.zip">&lt;b&gt;&quot;&amp;&#39;.zip</a>');
    expect(html).toContain('<a href="./a%3Ab%20c%253F.zip">a:b c%3F.zip</a>');
    expect(html).toContain('<a href="./%C3%A4/">ä/</a>');
    expect(html).not.toContain('<b>');
  });

  it('is read on any screen, and says of which repository it is', async () => {
    const html = await listingOf('d/', ['d/a'], 'html');
    expect(html).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
    expect(html).toContain('<style>');
    expect(html).toContain('<title>uploads: /d/</title>');
    expect(html).toMatch(/<\/body>\n<\/html>\n$/);
  });

  it('links to the directory above, but for the root', async () => {
    expect(await listingOf('d/', ['d/a'], 'html')).toContain('<a href="../">');
    expect(await listingOf('', ['a'], 'html')).not.toContain('../');
  });

  it('escapes the title', async () => {
    expect(await listingOf('<i>/', ['<i>/a'], 'html')).toContain('<title>uploads: /&lt;i&gt;/</title>');
  });
});
