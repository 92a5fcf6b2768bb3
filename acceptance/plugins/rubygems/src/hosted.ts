import { createHash, type Hash } from 'node:crypto';
import { artifactClass, changeClass, EntrepotError, listingClass } from '@entrepot/core';
import type { Entry, ListingContext } from '@entrepot/core';
import { HEAD_END, indexText, TEXT } from './compact-index.ts';
import { readGem, type IndexedGem } from './gem-file.ts';
import { gemOf, keysOf, numberOf } from './names.ts';

const all = { reply: TEXT, entries: () => ({ prefix: 'gems/', orEmpty: true }) };

export const classes = {
  versions: listingClass({
    ...all,
    about: 'The list of all versions of all gems.',
    // A line for each push, with the sum of the gem's list as it was then: until something is yanked, the document only grows.
    render: async (_resource, entries, { admits }) => {
      const sums = new Map<string, Hash>();
      const rows: string[] = [];
      for (const { name, number, line } of await pushed(entries, admits)) {
        const sum = (sums.get(name) ?? createHash('md5').update(HEAD_END)).update(`${line}\n`);
        sums.set(name, sum);
        rows.push(`${name} ${number} ${sum.copy().digest('hex')}`);
      }
      return indexText(`created_at: 1970-01-01T00:00:00Z\n${HEAD_END}`, rows);
    },
  }),
  names: listingClass({
    ...all,
    about: 'The list of all names.',
    render: async (_resource, entries, { admits }) => {
      const names = new Set((await pushed(entries, admits)).map(({ name }) => name));
      return indexText(HEAD_END, [...names].toSorted());
    },
  }),
  info: listingClass({
    ...all,
    about: 'The versions of a gem, with their dependencies and sums.',
    entries: ({ coordinates }) => ({ prefix: `gems/${coordinates?.name}-` }),
    render: async ({ coordinates }, entries, { admits }) => {
      const own = (await pushed(entries, admits)).filter(({ name }) => name === coordinates?.name);
      const lines = own.map(({ line }) => line);
      return indexText(HEAD_END, lines);
    },
  }),
  gem: artifactClass({ about: 'Files of gems.', cache: { expireAfter: Infinity } }),
  push: changeClass({
    about: 'Pushes of gems.',
    action: 'put',
    bounds: { of: 'gem', maxBytes: 512 * 1024 * 1024 },
    make: async (_resource, content) => {
      const gem = await readGem(content);
      const fullName = `${gem.name}-${gem.number}`;
      const entry = { key: keysOf(fullName).gem, mediaType: 'application/octet-stream', attributes: { ...gem } };
      const reply = { ...TEXT, status: 200, body: `Successfully registered gem: ${fullName}` };
      return { create: [{ ...entry, coordinates: gemOf(gem.name, gem.number) }], reply };
    },
  }),
  yank: changeClass({
    about: 'Removals of gems.',
    // It has a body, which says which.
    action: 'put',
    bounds: { of: 'gem', maxBytes: 16 * 1024 },
    make: async (_resource, content, { find }) => {
      const form = new URLSearchParams(Buffer.from(await content.bytes(content.size)).toString('utf8'));
      const fullName = `${form.get('gem_name')}-${numberOf(form.get('version'), form.get('platform'))}`;
      if ((await find(keysOf(fullName).gem)) === undefined)
        throw new EntrepotError('not-found', `There is no gem ${fullName}`);
      const reply = { ...TEXT, status: 200, body: `Successfully deleted gem: ${fullName}` };
      return { remove: [keysOf(fullName).gem], reply };
    },
  }),
};

/** Lists what was pushed and policy lets be listed, oldest first. */
async function pushed(entries: AsyncIterable<Entry>, admits: ListingContext['admits']): Promise<readonly IndexedGem[]> {
  const found: (IndexedGem & { readonly at: number })[] = [];
  for await (const { coordinates, attributes, digest, fetchedAt: at } of entries) {
    if (coordinates === undefined || !admits(coordinates)) continue;
    const gem = attributes as unknown as IndexedGem;
    found.push({ ...gem, line: gem.line.replace('SHA256', digest.slice('sha256:'.length)), at });
  }
  return found.toSorted((one, other) => one.at - other.at);
}
