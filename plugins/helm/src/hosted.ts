import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import {
  EntrepotError,
  type AccessNeed,
  type ArtifactResource,
  type ChangeReply,
  type Clock,
  type Content,
  type DocumentBytes,
  type DocumentResource,
  type Entry,
  type EntrySelection,
  type HostedChange,
  type HostedContext,
  type JoinedPiece,
  type LocalResource,
  type PackageCoordinates,
  type Protocol,
  type RequestHead,
  type Resource,
  type RewriteContext,
  type UploadResource,
} from '@entrepot/core';
import { CHART_TYPE, ChartChange, PROVENANCE_TYPE, type ReceivedFile } from './change.js';
import { readChart, readValues, templatesJson } from './chart-archive.js';
import { inOrder } from './chart-parts.js';
import { chartFileName, encodedTenant } from './chart-url.js';
import { challenge } from './challenge.js';
import { refused, renderError } from './errors.js';
import { isForm, readForm } from './form.js';
import { partOf, type Part } from './image.js';
import { CHART_LIST, entryJson, findVersion, IndexJoiner, JSON_INDEX, jsonFragment } from './index-fragment.js';
import { YAML_INDEX, yamlFragment, type IndexEntry, type IndexForm, type IndexHead } from './index-fragment.js';
import { KEY } from './keys.js';
import type { HelmOptions } from './options.js';
import { LARGEST_PROVENANCE, readProvenance } from './provenance.js';
import { readVersions, versionsOf, withPrefix } from './read-versions.js';
import { endpointsOf, imageEndpointOf, METHODS, type Endpoint, type ImageEndpoint } from './routes.js';
import { welcomePage } from './welcome.js';

const JSON_TYPE = 'application/json';
const YAML_TYPES = { yaml: 'application/x-yaml', json: JSON_TYPE } as const;
const DIGEST_HEADER = 'Docker-Content-Digest';
const PAGE = 1_000;

const { version: VERSION } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** What a document of ours shows. */
type View = (Endpoint | (ImageEndpoint & { readonly kind: 'tags' })) & {
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
};

/** A repository of charts of our own: ChartMuseum's API, and the same charts as images. */
export class HelmHosted implements Protocol {
  readonly #name: string;
  readonly #options: HelmOptions;
  readonly #clock: Clock;

  constructor(name: string, options: HelmOptions, clock: Clock) {
    this.#name = name;
    this.#options = options;
    this.#clock = clock;
  }

  route(head: RequestHead): Resource | undefined {
    if (head.mount === '/v2') return this.#routeImage(head);
    if (head.trailingSlash && head.segments.length > 0) return undefined;
    const { depth, api } = this.#options;
    const endpoints = endpointsOf(head.segments, depth, api);
    const method = head.method === 'HEAD' ? 'GET' : head.method;
    const endpoint = endpoints.find(({ kind }) => METHODS[kind].includes(method));
    if (endpoint !== undefined) return this.#resourceOf(endpoint, head);
    const [first] = endpoints;
    if (first === undefined) return undefined;
    throw methodNotAllowed(head.method, METHODS[first.kind]);
  }

  #resourceOf(endpoint: Endpoint, head: RequestHead): Resource | undefined {
    switch (endpoint.kind) {
      case 'health':
        return local({ healthy: true });
      case 'info':
        return local({ version: VERSION });
      case 'welcome':
        return this.#document(endpoint, { mediaType: 'text/html; charset=utf-8' });
      case 'artifact-hub':
        if (this.#hubId(endpoint.tenant) === undefined) return undefined;
        return this.#document(endpoint, { mediaType: YAML_TYPES.yaml });
      case 'index':
        return this.#document(endpoint, {
          class: 'index',
          mediaType: YAML_TYPES[this.#options.index],
          fromEntries: allOf(endpoint.tenant),
        });
      case 'file':
        return fileResource(endpoint);
      case 'charts':
        if (head.method === 'POST') return this.#upload(endpoint.tenant, head, 'chart');
        return this.#document({ ...endpoint, ...pageOf(head.query) }, { fromEntries: allOf(endpoint.tenant) });
      case 'provenances':
        return this.#upload(endpoint.tenant, head, 'provenance');
      case 'chart':
        return this.#document(endpoint, { fromEntries: othersOf(endpoint) });
      case 'version':
        if (head.method === 'DELETE') return this.#options.deletes ? this.#deletion(endpoint) : undefined;
        return this.#ofVersion(endpoint);
      case 'templates':
        return this.#ofVersion(endpoint);
      case 'values':
        return { ...this.#ofVersion(endpoint), mediaType: 'application/yaml' };
    }
  }

  #ofVersion(endpoint: Endpoint & { readonly kind: 'version' | 'templates' | 'values' }): DocumentResource {
    return this.#document(endpoint, { coordinates: coordinatesOf(endpoint), fromEntries: othersOf(endpoint) });
  }

  /** A document that `render` makes; of none of the entries, unless `more` says so. */
  #document(view: View, more: Partial<DocumentResource>): DocumentResource {
    const variant = JSON.stringify(view);
    return {
      kind: 'document',
      class: 'listing',
      key: `document ${variant}`,
      variant,
      upstreamPath: '',
      accessName: 'tenant' in view ? accessName(view.tenant) : undefined,
      mediaType: JSON_TYPE,
      fromEntries: { prefix: '', limit: 0 },
      replyHeaders: isOfApi(view) ? this.#crossOrigin : undefined,
      ...more,
    };
  }

  #upload(tenant: string, head: RequestHead, kind: ReceivedFile['kind']): UploadResource {
    return {
      kind: 'upload',
      action: 'put',
      class: kind,
      key: KEY.chart(tenant, ''),
      filename: kind,
      accessName: accessName(tenant),
      mediaType: head.header('content-type'),
      overwrite: true,
      maxBytes: this.#options.maxUploadSize,
      exclusive: `charts of ${tenant}`,
      attributes: { tenant, force: head.query.has('force') },
    };
  }

  #deletion({
    tenant,
    name,
    version,
  }: Endpoint & { readonly kind: 'version' | 'templates' | 'values' }): UploadResource {
    const filename = chartFileName(name, version);
    return {
      kind: 'upload',
      action: 'delete',
      class: 'chart',
      key: KEY.chart(tenant, filename),
      filename,
      accessName: accessName(tenant),
      overwrite: true,
      maxBytes: 0,
      exclusive: `charts of ${tenant}`,
      attributes: { tenant, name, version },
    };
  }

  #routeImage(head: RequestHead): Resource | undefined {
    const endpoint = imageEndpointOf(head.segments, this.#options.depth);
    if (endpoint === undefined) return undefined;
    if (head.method !== 'GET' && head.method !== 'HEAD') throw methodNotAllowed(head.method, ['GET']);
    const { tenant, name } = endpoint;
    if (endpoint.kind === 'tags') {
      const fromEntries = { prefix: KEY.tag(tenant, name, ''), requires: KEY.versions(tenant, name), orEmpty: true };
      return this.#document({ ...endpoint, kind: 'tags' }, { class: 'tags', fromEntries });
    }
    const { kind, reference } = endpoint;
    const common = { accessName: accessName(tenant), upstreamPath: '', digestHeader: DIGEST_HEADER };
    if (kind === 'manifest' && !reference.includes(':'))
      return { ...common, kind: 'document', class: 'tag', key: KEY.tag(tenant, name, reference) };
    const key = KEY[kind](tenant, name, reference);
    return { ...common, kind: 'artifact', class: kind, key, filename: reference.replace(':', '-') };
  }

  async receive(upload: UploadResource, content: Content, context: HostedContext): Promise<HostedChange> {
    const { tenant, force } = upload.attributes as { tenant: string; force: boolean };
    const asForm = upload.class === 'chart' && isForm(upload.mediaType);
    const { allowOverwrite, forceOverwrite, perChartLimit } = this.#options;
    const replaces = allowOverwrite || (force && forceOverwrite);
    const change = new ChartChange(tenant, context, {
      prefix: this.#prefix(tenant),
      conflict: replaces ? undefined : `${asForm ? 'chart' : 'file'} already exists`,
      perChartLimit,
      now: this.#clock.now(),
    });
    try {
      await change.add(asForm ? await this.#readForm(upload, content) : [await readFile(upload.class, content)]);
    } catch (error) {
      throw refused(error);
    }
    await this.#requireRoom(tenant, change.growth, context);
    return { ...change.made, reply: this.#reply(201, { saved: true }) };
  }

  async #readForm(upload: UploadResource, content: Content): Promise<ReceivedFile[]> {
    const { chartField, provField } = this.#options;
    const files: ReceivedFile[] = [];
    for (const { field, bytes } of await readForm(upload.mediaType as string, content)) {
      if (field === chartField) files.push(await readChartFile(Readable.from([bytes]), partOf(bytes)));
      if (field === provField) files.push(readProvenanceFile(bytes));
    }
    if (files.length > 0) return files;
    throw new EntrepotError(
      'bad-request',
      `no package or provenance file found in form fields ${chartField} and ${provField}`,
    );
  }

  async #requireRoom(tenant: string, growth: number, context: HostedContext): Promise<void> {
    const { maxObjects } = this.#options;
    if (maxObjects === undefined || growth <= 0) return;
    let room = maxObjects - growth;
    for (const prefix of [KEY.chart(tenant, ''), KEY.provenances(tenant)]) {
      for (let after: string | undefined; room >= 0;) {
        const limit = Math.min(PAGE, room + 1);
        const page = await context.list({ prefix, after, limit });
        room -= page.length;
        after = page.at(-1)?.key;
        if (page.length < limit) break;
      }
    }
    if (room >= 0) return;
    throw new EntrepotError('too-large', 'repo has reached storage limit', { status: 507, code: 'STORAGE_LIMIT' });
  }

  async alter(upload: UploadResource, context: HostedContext): Promise<HostedChange> {
    const { tenant, name, version } = upload.attributes as { tenant: string; name: string; version: string };
    const change = new ChartChange(tenant, context, { prefix: this.#prefix(tenant), now: this.#clock.now() });
    await change.remove(name, version);
    return { ...change.made, reply: this.#reply(200, { deleted: true }) };
  }

  join(document: DocumentResource, entries: readonly Entry[], context: RewriteContext): JoinedPiece[] | undefined {
    const view = viewOf(document);
    if (view.kind !== 'index' && view.kind !== 'charts') return undefined;
    const charts = pageOfCharts(entries, view);
    if (!charts.flat().every((entry) => this.#isCurrent(entry, view.tenant, context))) return undefined;
    const joiner = new IndexJoiner(this.#formOf(view.kind));
    const asYaml = view.kind === 'index' && this.#options.index === 'yaml';
    const pieces = charts.flatMap((parts): JoinedPiece[] => {
      const { name } = versionsOf(parts[0] as Entry);
      return joiner.chart<JoinedPiece>(
        name,
        parts.map((part) => (asYaml ? { ...part, ...versionsOf(part).yaml } : part)),
      );
    });
    return [...pieces, joiner.close(headOf(entries, context))];
  }

  /** Whether a part of the index is as it is to be shown. */
  #isCurrent(entry: Entry, tenant: string, { admits }: RewriteContext): boolean {
    const { name, prefix, versions } = versionsOf(entry);
    if (prefix !== this.#prefix(tenant)) return false;
    return versions.every((version) => admits({ ecosystem: 'helm', name, version }));
  }

  async render(
    document: DocumentResource,
    entries: AsyncIterable<Entry>,
    context: RewriteContext & Pick<HostedContext, 'content' | 'find'>,
  ): Promise<DocumentBytes> {
    const view = viewOf(document);
    switch (view.kind) {
      case 'welcome':
        return [welcomePage(this.#name, context.baseUrl)];
      case 'artifact-hub':
        return [`repositoryID: ${this.#hubId(view.tenant)}\n`];
      case 'index':
      case 'charts':
        return this.#renderCharts(view, await collected(entries), context);
      case 'chart':
        return [`[${jsonFragment(await this.#versions(view, entries, context)).toString()}]`];
      case 'version':
        return [entryJson(await this.#version(view, entries, context))];
      case 'templates':
      case 'values':
        return await this.#renderPart(view, entries, context);
      case 'tags': {
        const tags = (await collected(entries)).map(({ key }) => key.slice(document.fromEntries?.prefix.length));
        return [JSON.stringify({ name: [view.tenant, view.name].filter(Boolean).join('/'), tags })];
      }
      default:
        throw new EntrepotError('not-found', `Nothing is made for ${view.kind}`);
    }
  }

  /** As `join` does it, but from what is read: where not all of it is to be shown as it is kept. */
  async *#renderCharts(
    view: View & { readonly kind: 'index' | 'charts' },
    entries: readonly Entry[],
    context: RewriteContext & Pick<HostedContext, 'content' | 'find'>,
  ): AsyncGenerator<Uint8Array> {
    const asYaml = view.kind === 'index' && this.#options.index === 'yaml';
    const joiner = new IndexJoiner(this.#formOf(view.kind));
    for (const parts of pageOfCharts(entries, view)) {
      const versions = await this.#shown(parts, view.tenant, context);
      if (versions.length === 0) continue;
      const { name } = versionsOf(parts[0] as Entry);
      yield* joiner.chart(name, [asYaml ? yamlFragment(versions) : jsonFragment(versions)]);
    }
    yield joiner.close(headOf(entries, context));
  }

  async #renderPart(
    view: View & { readonly kind: 'version' | 'templates' | 'values' },
    parts: AsyncIterable<Entry>,
    context: RewriteContext & Pick<HostedContext, 'content' | 'find'>,
  ): Promise<DocumentBytes> {
    const { name, version } = await this.#version(view, parts, context);
    const archive = await context.find(KEY.chart(view.tenant, chartFileName(name, version)));
    if (archive === undefined) throw new EntrepotError('not-found', `no chart version found for ${name}-${version}`);
    const content = context.content(archive);
    if (view.kind === 'templates') return templatesJson(content.stream());
    const values = await readValues(content.stream());
    if (values === undefined) throw new EntrepotError('not-found', 'values.yaml not found');
    return [values];
  }

  /** The version that a path names. @throws EntrepotError `not-found` */
  async #version(
    { tenant, name, version }: View & { readonly kind: 'version' | 'templates' | 'values' },
    others: AsyncIterable<Entry>,
    context: RewriteContext & Pick<HostedContext, 'content' | 'find'>,
  ): Promise<IndexEntry> {
    const parts = await partsOf(tenant, name, others, context);
    if (parts.length === 0) throw new EntrepotError('not-found', 'no chart name found');
    const wanted = parts.filter((part) => version === 'latest' || versionsOf(part).versions.includes(version));
    const found = findVersion(await this.#shown(wanted, tenant, context), version);
    if (found !== undefined) return found;
    throw new EntrepotError('not-found', `no chart version found for ${name}-${version}`);
  }

  async #versions(
    { tenant, name }: View & { readonly kind: 'chart' },
    others: AsyncIterable<Entry>,
    context: RewriteContext & Pick<HostedContext, 'content' | 'find'>,
  ): Promise<IndexEntry[]> {
    const versions = await this.#shown(await partsOf(tenant, name, others, context), tenant, context);
    if (versions.length === 0) throw new EntrepotError('not-found', 'chart not found');
    return versions;
  }

  /** The versions in parts of the index that may be shown. */
  async #shown(
    parts: readonly Entry[],
    tenant: string,
    context: RewriteContext & Pick<HostedContext, 'content' | 'find'>,
  ): Promise<IndexEntry[]> {
    const prefix = this.#prefix(tenant);
    const shown: IndexEntry[] = [];
    for (const part of parts) {
      for (const entry of await readVersions(tenant, part, context)) {
        const { name, version } = entry;
        if (context.admits({ ecosystem: 'helm', name, version })) shown.push(withPrefix(entry, prefix));
      }
    }
    return shown;
  }

  challenge(need: AccessNeed, { baseUrl }: { readonly baseUrl: string }): string {
    return challenge(this.#options, need, baseUrl);
  }

  renderError = renderError;

  #formOf(kind: 'index' | 'charts'): IndexForm {
    return kind === 'charts' ? CHART_LIST : this.#options.index === 'json' ? JSON_INDEX : YAML_INDEX;
  }

  #hubId(tenant: string): string | undefined {
    const { artifactHub } = this.#options;
    if (typeof artifactHub !== 'object') return artifactHub;
    return Object.hasOwn(artifactHub, tenant) ? artifactHub[tenant] : undefined;
  }

  /** What URLs of a tenant's charts begin with. */
  #prefix(tenant: string): string {
    const { chartUrl } = this.#options;
    if (chartUrl === undefined) return '';
    return tenant === '' ? `${chartUrl}/` : `${chartUrl}/${encodedTenant(tenant)}/`;
  }

  #reply(status: number, body: unknown): ChangeReply {
    return { status, mediaType: JSON_TYPE, body: JSON.stringify(body), headers: this.#crossOrigin ?? {} };
  }

  get #crossOrigin(): Readonly<Record<string, string>> | undefined {
    const { corsAllowOrigin } = this.#options;
    return corsAllowOrigin === undefined ? undefined : { 'Access-Control-Allow-Origin': corsAllowOrigin };
  }
}

async function readFile(kind: string, content: Content): Promise<ReceivedFile> {
  if (kind === 'provenance') return readProvenanceFile(Buffer.from(await content.bytes(LARGEST_PROVENANCE)));
  return await readChartFile(content.stream(), await partOfBody(content));
}

async function readChartFile(bytes: AsyncIterable<Uint8Array>, part: Part): Promise<ReceivedFile> {
  return { kind: 'chart', metadata: await readChart(bytes), part };
}

function readProvenanceFile(bytes: Buffer): ReceivedFile {
  return { kind: 'provenance', metadata: readProvenance(bytes), part: partOf(bytes) };
}

async function partOfBody({ size, stream }: Content): Promise<Part> {
  const hash = createHash('sha256');
  for await (const piece of stream()) hash.update(piece);
  return { digest: `sha256:${hash.digest('hex')}`, size };
}

function fileResource({ tenant, file }: Endpoint & { readonly kind: 'file' }): ArtifactResource {
  const common = { kind: 'artifact', upstreamPath: '', filename: file, accessName: accessName(tenant) } as const;
  const archive = file.replace(/\.prov$/, '');
  return archive === file
    ? { ...common, class: 'chart', key: KEY.chart(tenant, file), mediaType: CHART_TYPE }
    : {
        ...common,
        class: 'provenance',
        key: KEY.provenance(tenant, archive),
        mediaType: PROVENANCE_TYPE,
        sidecar: true,
      };
}

/** All that indexes of a tenant are made from. */
function allOf(tenant: string): EntrySelection {
  return { prefix: KEY.versions(tenant, ''), orEmpty: true };
}

/** @throws EntrepotError `bad-request` */
function pageOf(query: URLSearchParams): { readonly offset: number; readonly limit?: number | undefined } {
  const offset = query.get('offset') ?? '0';
  if (!/^\d{1,15}$/.test(offset)) throw new EntrepotError('bad-request', 'offset is not a valid non-negative integer');
  const limit = query.get('limit') ?? undefined;
  if (limit !== undefined && !/^0*[1-9]\d{0,14}$/.test(limit))
    throw new EntrepotError('bad-request', 'limit is not a valid positive integer');
  return { offset: Number(offset), limit: limit === undefined ? undefined : Number(limit) };
}

/** The parts of the index that speak of a chart, besides its first one. */
function othersOf({ tenant, name }: { readonly tenant: string; readonly name: string }): EntrySelection {
  return { prefix: `${KEY.versions(tenant, name)}/`, orEmpty: true };
}

/** All parts of a chart, newest versions first. */
async function partsOf(
  tenant: string,
  name: string,
  others: AsyncIterable<Entry>,
  { find }: Pick<HostedContext, 'find'>,
): Promise<Entry[]> {
  const first = await find(KEY.versions(tenant, name));
  return first === undefined ? [] : sortedParts([first, ...(await collected(others))]);
}

function sortedParts(parts: readonly Entry[]): Entry[] {
  if (parts.length < 2) return [...parts];
  return inOrder(parts.map((part) => ({ part, versions: versionsOf(part).versions }))).map(({ part }) => part);
}

/** The parts of each chart of a page; without the entry that only says that something went. */
function pageOfCharts(entries: readonly Entry[], { offset = 0, limit = Infinity }: View): Entry[][] {
  const charts = new Map<string, Entry[]>();
  for (const entry of entries) {
    if (entry.attributes === undefined) continue;
    const { name } = versionsOf(entry);
    const parts = charts.get(name);
    if (parts === undefined) charts.set(name, [entry]);
    else parts.push(entry);
  }
  return Array.from(charts.values(), sortedParts).slice(offset, offset + limit);
}

function headOf(entries: readonly Entry[], { baseUrl }: RewriteContext): IndexHead {
  const changed = Math.max(0, ...entries.map(({ fetchedAt }) => fetchedAt));
  const contextPath = new URL(baseUrl).pathname.replace(/\/$/, '');
  return {
    generated: entries.length === 0 ? undefined : new Date(changed).toISOString(),
    serverInfo: contextPath === '' ? {} : { contextPath },
  };
}

function viewOf({ variant = '' }: DocumentResource): View {
  return JSON.parse(variant) as View;
}

function isOfApi({ kind }: View): boolean {
  return kind === 'charts' || kind === 'chart' || kind === 'version' || kind === 'templates' || kind === 'values';
}

function coordinatesOf({ name, version }: { readonly name: string; readonly version: string }): PackageCoordinates {
  return { ecosystem: 'helm', name, version };
}

function accessName(tenant: string): string | undefined {
  return tenant === '' ? undefined : tenant;
}

function local(body: unknown): LocalResource {
  return { kind: 'local', status: 200, headers: { 'Content-Type': JSON_TYPE }, body: JSON.stringify(body) };
}

function methodNotAllowed(method: string, allowed: readonly string[]): EntrepotError {
  const expected = allowed.flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one])).join(', ');
  return new EntrepotError('method-not-allowed', `${method} is not possible here; expected ${expected}`, {
    headers: { Allow: expected },
  });
}

async function collected<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const all: Value[] = [];
  for await (const value of values) all.push(value);
  return all;
}
