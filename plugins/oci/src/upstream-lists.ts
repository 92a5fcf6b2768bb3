import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  documentClass,
  EntrepotError,
  type Content,
  type Parsed,
  type RenderRequest,
  type Resource,
  type UpstreamFacts,
} from '@entrepot/core';
import {
  JsonFormatError,
  malformed,
  readJsonObject,
  SKIP,
  sortedInTurns,
  WorkTurns,
  type ObjectVisitor,
} from '@entrepot/core/formats';
import { z } from 'zod';
import { imageIndex, INDEX_TYPE } from './media-types.js';
import { clientName, MAX_PAGE, nextLink, nextTarget, queryOf } from './paging.js';
import {
  accessName,
  attributesOf,
  nameOf,
  nextForm,
  repliedHeaders,
  tokenScope,
  type OciProxy,
} from './proxy-routes.js';
import { KEY } from './reference.js';

/** The largest list of names of an upstream that is read. Bytes. */
const MAX_LIST = 32 * 1024 * 1024;
/** The largest list of referrers: an image index, of which clients read no more either. Bytes. */
const MAX_REFERRERS = 4 * 1024 * 1024;
/** The number of names that go out as one piece. */
const PIECE = 1024;
/** Characters of a name: far more than the distribution specification allows. */
const LONGEST_NAME = 4096;
/** Memory of a string besides its characters, in bytes. */
const STRING_BYTES = 40;

/** List of the manifests that refer to another one, from the referrers API or under a tag: an image index, and nothing else. */
const referrersList = z.looseObject({
  mediaType: z.literal(INDEX_TYPE).optional(),
  manifests: z.array(z.looseObject({ mediaType: z.string(), digest: z.string(), size: z.number() })),
});

/** A list of names that was read once. */
export interface NameList extends Parsed {
  readonly names: readonly string[];
}

const upstream: UpstreamFacts<OciProxy> = {
  accept: 'application/json',
  // Not HTML: that is a captive portal, or a login page.
  expects: ['application/json', 'application/octet-stream', 'text/plain'],
  maxBytes: MAX_LIST,
  tokenScope,
};
const reply = { mediaType: 'application/json', headers: repliedHeaders, keepHeaders: ['link'] };
const policy = { accessName };

/** The lists of a proxy. */
export const LIST_CLASSES = {
  /** With the name that the client uses, links that lead here, and what policy admits. */
  tags: documentClass<OciProxy, NameList>({
    about: 'Lists of tags.',
    // Tags that were pulled can be listed while the upstream is down.
    cache: { freshFor: 60_000, listsBelow: (resource) => KEY.tag(nameOf(resource), '') },
    upstream,
    reply: {
      ...reply,
      /** @param list absent: the tags that are cached are the list */
      async render(list: NameList | undefined, request) {
        const { resource, baseUrl, cachedKeys } = request;
        const { name = '', page } = attributesOf(resource);
        const upstreamName = nameOf(resource);
        if (list === undefined && page?.isMarked === true)
          throw new EntrepotError('not-found', 'Only the upstream knows which page of its list this is');
        const turns = new WorkTurns();
        const admitted: string[] = [];
        for (const version of list?.names ?? cachedKeys.map((key) => key.slice(KEY.tag(upstreamName, '').length))) {
          if (request.admits({ ecosystem: 'oci', name: upstreamName, version })) admitted.push(version);
          if (turns.over) await turns.next();
        }
        const { names, next } = await pageOfNames(request, admitted, list?.names);
        const start = `{"name":${JSON.stringify(clientName(baseUrl, name))},"tags":[`;
        return { bytes: jsonList(start, names), headers: nextLink(baseUrl, `${name}/tags/list`, next) };
      },
    },
    policy,
    /** Describes the tags of one page, of which nothing but the name is known. */
    async parse(content, resource) {
      const list = await readNames(content, resource, 'tags');
      const name = nameOf(resource);
      return {
        ...list,
        *descriptions() {
          for (const version of list.names.slice(0, MAX_PAGE))
            yield [KEY.tag(name, version), { integrity: [], coordinates: { ecosystem: 'oci', name, version } }];
        },
      };
    },
  }),
  /** With a link that leads here. Only the list of the API has pages. */
  referrers: documentClass<OciProxy>({
    about: 'Lists of what refers to a manifest: signatures, attestations, SBOMs.',
    cache: {
      freshFor: 60_000,
      negativeFor: 5_000,
      alternative: nextForm,
      except: (list) => (isNone(list) ? { policy: 'immutable', expireAfter: Infinity } : undefined),
    },
    upstream: {
      ...upstream,
      accept: INDEX_TYPE,
      expects: [INDEX_TYPE, ...(upstream.expects as readonly string[])],
      maxBytes: MAX_REFERRERS,
      mayLack: true,
      produce: {
        applies: isNone,
        async make({ key }, { folder }) {
          const path = join(folder, 'index.json');
          await writeFile(path, imageIndex([]));
          return [{ key, path, mediaType: INDEX_TYPE }];
        },
      },
    },
    reply: {
      ...reply,
      mediaType: INDEX_TYPE,
      keepHeaders: ['link', 'oci-filters-applied'],
      render(_list, request) {
        const { resource, content, baseUrl } = request;
        const { name = '', subject = '', form } = attributesOf(resource);
        const next = form === 'api' ? upstreamNext(request) : undefined;
        return { bytes: content.stream(), headers: nextLink(baseUrl, `${name}/referrers/${subject}`, next) };
      },
    },
    policy,
    async parse(content, { key }) {
      const bytes = await content.bytes(MAX_REFERRERS);
      try {
        referrersList.parse(JSON.parse(Buffer.from(bytes).toString()));
      } catch (error) {
        throw malformed(key, 'expected an image index', error);
      }
      return { weight: 0 };
    },
  }),
  catalog: documentClass<OciProxy, NameList>({
    about: 'Lists of names.',
    cache: { freshFor: 60_000 },
    upstream: { ...upstream, tokenScope: 'registry:catalog:*' },
    reply: {
      ...reply,
      async render({ names: all }, request) {
        const { baseUrl } = request;
        const { names, next } = await pageOfNames(request, all, all);
        const bytes = jsonList('{"repositories":[', names, (name) => clientName(baseUrl, name));
        return { bytes, headers: nextLink(baseUrl, '_catalog', next) };
      },
    },
    parse: async (content, resource) => await readNames(content, resource, 'repositories'),
  }),
};

function isNone(list: Resource): boolean {
  return attributesOf(list).form === 'none';
}

/**
 * The page of a list that is asked for, and the query of the one after it.
 * @param names those of the list that are shown
 * @param listed the list as the upstream sent it; `undefined`: there is none, and `names` are all that there are
 */
async function pageOfNames(
  request: RenderRequest,
  names: readonly string[],
  listed: readonly string[] | undefined,
): Promise<{ readonly names: readonly string[]; readonly next: string | undefined }> {
  const { n = MAX_PAGE, last } = attributesOf(request.resource).page ?? {};
  // An empty page has none after it (distribution specification, "Listing Tags").
  const next = n === 0 ? undefined : upstreamNext(request);
  // Some registries take no notice of `n` and `last`: then the whole list is here, and the page is ours to cut. The order
  // of those that do is their own.
  const isWhole = listed === undefined || (last !== undefined && listed.includes(last));
  const isOurs = next === undefined && (isWhole || listed.length > n);
  if (!isOurs) return { names, next };
  const rest = isWhole && last !== undefined ? names.filter((name) => compare(name, last) > 0) : names;
  const sorted = await sortedInTurns(rest, compare);
  if (sorted.length <= n) return { names: sorted, next: undefined };
  const page = sorted.slice(0, n);
  return { names: page, next: n > 0 ? queryOf({ n, last: page.at(-1) }) : undefined };
}

/** The query of the next page, from a `Link` of the upstream that may be absolute, relative, or only a query. */
function upstreamNext({ headers }: RenderRequest): string | undefined {
  const target = nextTarget(headers['link'] ?? '');
  const at = target?.indexOf('?') ?? -1;
  return at < 0 ? undefined : target?.slice(at).split('#', 1)[0];
}

/** Writes a list of names as the last member of a JSON object, a piece at a time. */
async function* jsonList(
  start: string,
  names: readonly string[],
  shown = (name: string): string => name,
): AsyncGenerator<Uint8Array> {
  const turns = new WorkTurns();
  for (let at = 0; at < names.length; at += PIECE) {
    const piece = JSON.stringify(names.slice(at, at + PIECE).map(shown)).slice(1, -1);
    yield Buffer.from((at === 0 ? start : ',') + piece);
    await turns.pause();
  }
  yield Buffer.from(names.length === 0 ? `${start}]}` : ']}');
}

/** Tags are ASCII: their order is that of their bytes. */
function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

/** Reads a list of names at the top of a JSON object in turns: one may have a million of them. */
async function readNames(content: Content, { key }: Resource, member: string): Promise<NameList> {
  let names: string[] = [];
  const fault = (): never => {
    throw new JsonFormatError('expected a list of names');
  };
  const list: ObjectVisitor = {
    enter() {
      names = [];
    },
    member: fault,
    element: () => (name) => (isListed(name) ? names.push(name) : fault()),
    otherwise: () => (value) => (value === null ? [] : fault()),
  };
  try {
    await readJsonObject(content, (name) => (name === member ? list : SKIP));
    return { names, weight: content.size + names.length * STRING_BYTES };
  } catch (error) {
    throw error instanceof EntrepotError ? error : malformed(key, `expected JSON with ${member}`, error);
  }
}

function isListed(name: unknown): name is string {
  return typeof name === 'string' && name.length <= LONGEST_NAME;
}
