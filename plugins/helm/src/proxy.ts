import {
  EntrepotError,
  requireMethod,
  withoutTrailingSlashes,
  type Content,
  type RepositoryFacts,
  type RequestHead,
  artifactClass,
  documentClass,
  type RenderRequest,
  type Resource,
} from '@entrepot/core';
import { WorkTurns } from '@entrepot/core/formats';
import { relativeUrl } from './chart-url.js';
import { IndexJoiner, INDEXES, type IndexEntry, type IndexForm } from './index-fragment.js';
import { LARGEST_INDEX } from './index-rows.js';
import { CHART_TYPE, IMAGE_TYPES, PROVENANCE_TYPE } from './media-types.js';
import type { HelmOptions } from './options.js';
import { LARGEST_PROVENANCE, SIGNED_MESSAGE } from './provenance.js';
import { locateLayer } from './registry-layer.js';
import { INDEX_TABLE, type UpstreamIndex } from './upstream-index.js';

/**
 * `Accept` of helm for files. The API of a forge sends the file itself for `application/octet-stream`, and its metadata for
 * other types. Some servers refuse a client that does not accept the type that they would send.
 */
const FILE_ACCEPT = 'application/gzip, application/octet-stream, */*;q=0.1';
/** The start of everything that is compressed by gzip (RFC 1952 §2.3.1). */
const GZIP = Buffer.from([0x1f, 0x8b]);
/** Versions that are written at once. */
const FRAGMENT = 50;
const INDEX: Resource = { class: 'index', key: 'index.yaml', path: 'index.yaml' };

/** A proxy of a repository of charts. */
export class HelmProxy {
  readonly form: IndexForm;
  /** Base URLs, each with a slash at its end. */
  readonly upstreams: readonly string[];

  constructor({ index }: HelmOptions, { upstreams }: RepositoryFacts) {
    this.form = INDEXES[index];
    this.upstreams = upstreams.map(({ url }) => `${withoutTrailingSlashes(url)}/`);
  }

  route(head: RequestHead): Resource | undefined {
    const { mount, segments, trailingSlash } = head;
    if (mount !== undefined || trailingSlash || segments.some((segment) => segment.includes('/'))) return undefined;
    const resource = segments.length === 1 && segments[0] === 'index.yaml' ? INDEX : fileResource(segments);
    if (resource !== undefined) requireMethod(head, ['GET'], 'This repository is a proxy: it takes no uploads');
    return resource;
  }
}

/** The classes of a proxy. */
export const PROXY_CLASSES = {
  chart: artifactClass<HelmProxy>({
    about: 'Archives of charts.',
    cache: { expireAfter: Infinity },
    upstream: {
      accept: `${IMAGE_TYPES.chart}, ${FILE_ACCEPT}`,
      locate: (resource, context) => locateLayer(resource, context, [IMAGE_TYPES.chart]),
    },
    reply: { mediaType: CHART_TYPE },
    // An index need not state a digest.
    trust: { describedBy: () => INDEX, verify: startingWith(GZIP, 'an archive that is compressed by gzip') },
  }),
  provenance: artifactClass<HelmProxy>({
    about: 'Provenance files of charts.',
    // It may be made a moment after its chart.
    cache: { expireAfter: Infinity, negativeFor: 5_000 },
    upstream: { accept: FILE_ACCEPT, maxBytes: LARGEST_PROVENANCE },
    reply: { mediaType: PROVENANCE_TYPE },
    // Clients have the keys and check the signature. A login page is no provenance.
    trust: {
      describedBy: () => INDEX,
      verify: startingWith(Buffer.from(SIGNED_MESSAGE), 'a clear-signed PGP message'),
    },
    policy: { sidecar: true },
  }),
  index: documentClass<HelmProxy, UpstreamIndex>({
    about: 'Indexes: `index.yaml`.',
    upstream: { maxBytes: LARGEST_INDEX },
    reply: { mediaType: (_resource, { form }) => form.mediaType, render },
    table: INDEX_TABLE,
  }),
};

/** Writes the index with paths of this repository, without the versions that policy refuses. */
async function* render(
  index: UpstreamIndex,
  { admits }: RenderRequest,
  { form }: HelmProxy,
): AsyncGenerator<Uint8Array> {
  const joiner = new IndexJoiner(form);
  const turns = new WorkTurns();
  let newest: string | undefined;
  let chart = '';
  const entries: IndexEntry[] = [];
  const fragments: Buffer[] = [];
  const cut = (): void => void fragments.push(form.fragment(entries.splice(0)));
  function close(): Buffer[] {
    if (entries.length > 0) cut();
    return fragments.length > 0 ? joiner.chart(chart, fragments.splice(0)) : [];
  }
  for (const version of index.versions()) {
    const { chart: name, entry } = version;
    if (name !== chart) yield* close();
    chart = name;
    if (turns.over) await turns.next();
    // An index may list a chart under another name than its own: then the rules of both hold.
    const isAdmitted = [...new Set([entry.name, name])].every((one) =>
      admits({ ecosystem: 'helm', name: one, version: entry.version }, index.describeVersion(version)),
    );
    if (!isAdmitted) continue;
    newest = laterOf(newest, entry.created);
    entries.push(entry);
    if (entries.length === FRAGMENT) cut();
  }
  yield* close();
  yield joiner.close({ generated: newest ?? index.generated });
}

/** Names `charts/<file>`, or `charts/<suffix>/<file>`. */
function fileResource(segments: readonly string[]): Resource | undefined {
  const [folder, ...rest] = segments;
  const file = rest.at(-1) ?? '';
  if (folder !== 'charts' || rest.length > 2) return undefined;
  const isProvenance = /.\.tgz\.prov$/.test(file);
  if (!isProvenance && !/.\.tgz$/.test(file)) return undefined;
  return { class: isProvenance ? 'provenance' : 'chart', key: segments.join('/'), path: relativeUrl(segments) };
}

/** Refuses files that begin otherwise. */
function startingWith(expected: Buffer, what: string) {
  return async ({ key }: Resource, content: Content): Promise<void> => {
    let start = Buffer.alloc(0);
    for await (const piece of content.stream()) {
      start = Buffer.concat([start, piece]);
      if (start.length >= expected.length) break;
    }
    if (expected.equals(start.subarray(0, expected.length))) return;
    throw new EntrepotError('integrity', `${key}: expected ${what}`);
  };
}

function laterOf(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Date.parse(other) > Date.parse(one) ? other : one;
}
