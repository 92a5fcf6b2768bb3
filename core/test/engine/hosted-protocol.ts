import {
  artifactClass,
  changeClass,
  documentClass,
  EntrepotError,
  listingClass,
  parseHex,
  sessionClass,
  type Content,
  type Entry,
  type HostedChange,
  type HostedContext,
  type RequestHead,
  type Resource,
  type Route,
  type SessionStep,
} from '../../src/index.js';
import { changed, type Changes } from '../testing/changed.js';
import type { TestSide } from './harness.js';

const bounds = { of: 'file', maxBytes: 50_000_000 };

/** The classes of a hosted repository that is as small as its format. */
export const hostedClasses = {
  file: artifactClass({ about: 'a file', reply: { digestHeader: 'X-Digest', headers: { 'X-Registry': 'yes' } } }),
  text: documentClass({ about: 'a page', reply: { mediaType: 'text/plain' } }),
  list: listingClass({
    about: 'a list of entries',
    reply: { mediaType: 'text/plain' },
    entries({ key, attributes }) {
      const { after, limit, requires, empty } = attributes as Readonly<Record<string, string>>;
      return {
        prefix: key.slice('list/'.length),
        after,
        limit: limit === undefined ? undefined : Number(limit),
        orEmpty: empty !== undefined,
        requires,
      };
    },
    async *render(_resource, entries) {
      for await (const { key, size } of entries) yield `${key} ${size}\n`;
    },
  }),
  put: changeClass({
    about: 'an upload',
    action: 'put',
    bounds: {
      ...bounds,
      overwrite: ({ attributes }) => attributes?.['overwrite'] !== undefined,
      exclusive: ({ attributes }) => attributes?.['exclusive'] as string | undefined,
    },
  }),
  delete: changeClass({ about: 'a removal', action: 'delete', bounds }),
  link: changeClass({ about: 'a link', action: 'link', bounds }),
  session: sessionClass({
    about: 'a step of an upload',
    maxBytes: 1_000_000,
    step: ({ attributes }) => attributes as unknown as SessionStep,
    reply: ({ action }, { id, size }, { baseUrl }) => ({
      status: action === 'status' || action === 'cancel' ? 204 : 202,
      headers: { Location: `${baseUrl}/uploads/${id}`, Range: `0-${Math.max(0, size - 1)}` },
    }),
  }),
};

export type HostedClassChanges = Changes<typeof hostedClasses>;

/** The format with the facts and hooks of `changes` in its classes. */
export function hostedSide(changes: HostedClassChanges = {}): TestSide {
  return {
    classes: changed(hostedClasses, changes) as unknown as TestSide['classes'],
    route: routeHosted,
    renderError: (error) => ({ mediaType: 'text/plain', body: error.code }),
  };
}

const CHANGES = { PUT: 'put', DELETE: 'delete', LINK: 'link' } as const;
const STEPS = { POST: 'open', PATCH: 'append', GET: 'status', DELETE: 'cancel', PUT: 'complete' } as const;

/**
 * Routes `PUT /files/*?overwrite&exclusive=`, `LINK /files/*?from=`, `DELETE`; `POST /uploads`, `PATCH|GET|DELETE /uploads/<id>`,
 * `PUT /uploads/<id>?name=&digest=`; `GET /list/<prefix>?after=&limit=&requires=&empty`.
 */
export function routeHosted({ method, segments, query, header }: RequestHead): Route | undefined {
  const [kind, ...rest] = segments;
  const key = segments.join('/');
  const attributes = Object.fromEntries(query);
  const { digest, name, from, variant } = attributes;
  const sum = digest === undefined ? undefined : parseHex(digest.length === 128 ? 'sha512' : 'sha256', digest);
  const change = (named: 'put' | 'delete' | 'link', at: string): Resource => ({
    class: named,
    key: at,
    attributes,
    ...(sum !== undefined && { integrity: [sum] }),
  });
  if (kind === 'uploads') {
    const [, start, end] = /^(\d+)-(\d+)$/.exec(header('content-range') ?? '') ?? [];
    const step: SessionStep = {
      action: STEPS[method as keyof typeof STEPS],
      owner: attributes['scope'] ?? 'one',
      id: rest.join('/') || undefined,
      range: start === undefined ? undefined : { start: Number(start), end: Number(end) },
      change: name === undefined ? undefined : change(from === undefined ? 'put' : 'link', `files/${name}`),
    };
    return { class: 'session', key, attributes: { ...step } };
  }
  if (method in CHANGES) return change(CHANGES[method as keyof typeof CHANGES], key);
  if (kind === 'files') return { class: 'file', key, path: key };
  return kind === 'text' || kind === 'list' ? { class: kind, key, path: key, variant, attributes } : undefined;
}

/** A change that puts the bytes of `entry` under `key`. */
export function linkTo(entry: Entry, key: string): HostedChange {
  return { replace: [{ key, sameAs: entry, mediaType: entry.mediaType }] };
}

/** Makes a link to the entry that `?from=` names. */
export async function linkFrom(
  { key, attributes }: Resource,
  _: Content,
  { find }: HostedContext,
): Promise<HostedChange> {
  const source = await find(String(attributes?.['from']));
  if (source === undefined) throw new EntrepotError('not-found', 'no source');
  return linkTo(source, key);
}
