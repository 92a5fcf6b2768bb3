import {
  EntrepotError,
  requireMethod,
  type Entry,
  type RequestHead,
  artifactClass,
  changeClass,
  listingClass,
  type ListingContext,
  type Resource,
} from '@entrepot/core';
import { lookup } from 'mime-types';
import { listingFormat, renderListing } from './listing.js';
import type { FilesOptions } from './options.js';
import { coordinatesOf, readPath } from './path.js';
import { dispositionOf } from './reply-headers.js';

/** A hosted repository of files. */
export class FilesHosted {
  readonly options: FilesOptions;
  readonly name: string;

  constructor(options: FilesOptions, name: string) {
    this.options = options;
    this.name = name;
  }

  /** Names a file, a listing or a change. The query says nothing. */
  route(head: RequestHead): Resource {
    const path = readPath(head.segments, head.trailingSlash);
    if (head.segments.some((segment) => segment.includes('/'))) {
      // Some clients and gateways unescape it on their way: the file would be found by some and not by others.
      throw new EntrepotError('bad-request', 'a file name cannot hold an escaped slash (%2F)');
    }
    if (head.segments.some((segment) => segment.includes('\\'))) {
      throw new EntrepotError('bad-request', 'expected the name of a file in UTF-8, found other bytes in it');
    }
    const named = { key: path.key, path: '', coordinates: coordinatesOf(path) };
    const method = requireMethod(head, this.options.allowDelete ? ['GET', 'PUT', 'DELETE'] : ['GET', 'PUT']);
    if (method === 'GET') {
      if (!path.directory) return { class: 'hosted', ...named };
      return { class: 'listing', key: path.key, path: '', variant: listingFormat(head.header('accept')) };
    }
    if (path.directory) {
      throw new EntrepotError('bad-request', `${method} needs the path of a file, found one that ends in "/"`);
    }
    if (method === 'DELETE') return { class: 'delete', ...named };
    // RFC 9110 §13.1.2: `If-None-Match: *` asks for a file that does not exist yet.
    const isNew = head.header('if-none-match')?.trim() === '*';
    return { class: 'put', ...named, attributes: { isNew, mediaType: uploadedType(head, path.text) } };
  }
}

/** The classes of a hosted repository. */
export const CLASSES = {
  hosted: artifactClass<FilesHosted>({
    about: 'Files of a hosted repository.',
    cache: { expireAfter: Infinity },
    reply: { headers: (resource, { options }) => dispositionOf(resource, options) },
  }),
  listing: listingClass<FilesHosted>({
    about: 'Directory listings of a hosted repository.',
    reply: {
      vary: ['accept'],
      mediaType: ({ variant }) => (variant === 'json' ? 'application/json' : 'text/html; charset=utf-8'),
    },
    entries: ({ key }) => ({ prefix: prefixOf(key) }),
    render: ({ key, variant }, entries, { admits }, { name }) =>
      renderListing(name, prefixOf(key), admitted(entries, admits), variant === 'json' ? 'json' : 'html'),
  }),
  put: changeClass<FilesHosted>({
    about: 'Uploads of files.',
    action: 'put',
    bounds: {
      of: 'hosted',
      maxBytes: (_resource, { options }) => options.maxBytes,
      overwrite: ({ attributes }, { options }) => options.overwrite && attributes?.['isNew'] !== true,
      mediaType: ({ attributes }) => attributes?.['mediaType'] as string,
    },
  }),
  delete: changeClass<FilesHosted>({
    about: 'Deletions of files.',
    action: 'delete',
    bounds: { of: 'hosted', maxBytes: 0 },
  }),
};

function prefixOf(key: string): string {
  return key === '/' ? '' : key;
}

/** The entries that policy lets be listed. */
async function* admitted(entries: AsyncIterable<Entry>, admits: ListingContext['admits']): AsyncGenerator<Entry> {
  for await (const entry of entries) if (entry.coordinates === undefined || admits(entry.coordinates)) yield entry;
}

/** Gives what the client says, unless it is what curl and wget say of any body; else the type of the file's extension. */
function uploadedType(head: RequestHead, filename: string): string {
  const said = head.header('content-type')?.trim() ?? '';
  const form = /^application\/x-www-form-urlencoded\b/i.test(said);
  if (!form && said.length <= 255 && /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;[\u0020-\u007e]*)?$/.test(said)) return said;
  return lookup(filename) || 'application/octet-stream';
}
