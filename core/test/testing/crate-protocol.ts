import { createHash } from 'node:crypto';
import {
  type AnyDeclaredPlugin,
  type ArtifactDescription,
  artifactClass,
  CLOCK,
  type Content,
  defineProtocolPlugin,
  documentClass,
  EntrepotError,
  LOGGER,
  type Parsed,
  passthroughClass,
  type ProtocolInstance,
  type RenderRequest,
  type RequestHead,
  type Resource,
  type Route,
  type StandardSchema,
} from '@entrepot/core';
import type { AnySide } from '@entrepot/core/engine';
import type { ProtocolSubject } from '@entrepot/core/testing';
import { type Changes, changed } from './changed.js';

interface Sheet {
  readonly name: string;
  readonly latest?: string | undefined;
  readonly versions: Readonly<
    Record<string, { readonly url: string; readonly sha256: string; readonly published: string }>
  >;
}

/** A sheet that was read. */
export interface ParsedSheet extends Parsed {
  readonly sheet: Sheet;
  describe(key: string): ArtifactDescription | undefined;
  descriptions(): ReadonlyMap<string, ArtifactDescription>;
}

const NAME = /^[a-z][a-z0-9-]{0,63}$/;
const FILE = /^([a-z][a-z0-9-]{0,63})-(\d+\.\d+\.\d+)\.bin$/;

/** An empty object, and nothing else. */
export const noOptions: StandardSchema<object> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate(value) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        return { issues: [{ message: 'expected an object' }] };
      }
      const [unknown] = Object.keys(value);
      return unknown === undefined ? { value } : { issues: [{ message: 'unknown key', path: [unknown] }] };
    },
  },
};

function sheet(name: string): Resource {
  return { class: 'sheet', key: `sheet/${name}`, path: name, coordinates: { ecosystem: 'crate', name } };
}

function file(name: string, version: string) {
  const filename = `${name}-${version}.bin`;
  const coordinates = { ecosystem: 'crate', name, version };
  return { class: 'file', key: `file/${filename}`, path: `${name}/files/${filename}`, coordinates } satisfies Resource;
}

/** The right routes: `/NAME` is a JSON sheet of versions, `/NAME/files/NAME-VERSION.bin` a file. */
export function routeCrate({ method, segments, query }: RequestHead): Route | undefined {
  if (method !== 'GET' && method !== 'HEAD') throw new EntrepotError('method-not-allowed', 'expected GET');
  const [name = '', files, filename = '', ...more] = segments;
  if (name === 'ping' && segments.length === 1) return { status: 200, body: 'pong' };
  if (name === 'search' && segments.length === 1)
    return { class: 'search', key: 'search', path: `search?q=${encodeURIComponent(query.get('q') ?? '')}` };
  if (!NAME.test(name)) return undefined;
  if (segments.length === 1) return sheet(name);
  const [, of, version] = FILE.exec(filename) ?? [];
  if (files !== 'files' || of !== name || version === undefined || more.length > 0) return undefined;
  return file(name, version);
}

/** The right reading of a sheet. */
export async function parseSheet(content: Content, { path = '' }: Resource): Promise<ParsedSheet> {
  const read = parseJson(await content.bytes(1_000_000));
  const found = new Map<string, ArtifactDescription>();
  for (const [version, { sha256, published }] of Object.entries(read.versions)) {
    const { key, coordinates } = file(path, version);
    const integrity = [{ algorithm: 'sha256', hex: sha256 }] as const;
    found.set(key, { integrity, coordinates, publishedAt: Date.parse(published) });
  }
  return { weight: content.size, sheet: read, describe: (key) => found.get(key), descriptions: () => found };
}

function parseJson(bytes: Uint8Array): Sheet {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as Sheet;
  } catch (cause) {
    throw new EntrepotError('upstream-unavailable', 'the sheet is not JSON', { cause });
  }
}

/** The right representation of a sheet. */
export function renderSheet({ sheet, describe }: ParsedSheet, { baseUrl, admits }: RenderRequest): [string] {
  const { name, latest = '', versions } = sheet;
  const listed: Record<string, Sheet['versions'][string]> = {};
  for (const [version, { sha256, published }] of Object.entries(versions)) {
    const { key, path, coordinates } = file(name, version);
    if (admits(coordinates, describe(key))) listed[version] = { url: `${baseUrl}/${path}`, sha256, published };
  }
  const newest = latest in listed ? latest : Object.keys(listed).at(-1);
  return [JSON.stringify({ name, latest: newest, versions: listed })];
}

const classes = {
  sheet: documentClass<ProtocolInstance, ParsedSheet>({
    about: 'The versions of a name.',
    upstream: { expects: ['application/json'] },
    reply: { mediaType: 'application/json', render: renderSheet },
    parse: parseSheet,
  }),
  file: artifactClass<ProtocolInstance>({
    about: 'The bytes of a version.',
    trust: { describedBy: ({ path = '' }) => sheet(path.slice(0, path.indexOf('/'))) },
  }),
  search: passthroughClass<ProtocolInstance>({ about: 'A search.', method: 'GET' }),
};

type PrintError = NonNullable<AnySide['renderError']>;

const printError: PrintError = (error) => ({
  mediaType: 'application/json',
  body: JSON.stringify({ error: error.message }),
});

/** Members of the right plugin, its classes and its instances that differ. */
export interface CrateChanges extends Partial<ProtocolInstance> {
  readonly classes?: Changes<typeof classes>;
  readonly renderError?: PrintError;
  readonly plugin?: Partial<AnyDeclaredPlugin>;
  readonly subject?: Partial<ProtocolSubject>;
  /** Called whenever an instance is made. */
  readonly create?: () => void;
}

const FILES = { '1.0.0': Buffer.from('first'.repeat(10_000)), '1.1.0': Buffer.from('second'.repeat(20_000)) };

/** The plugin with its fixtures and its table. */
export function crateSubject({ subject, ...changes }: CrateChanges = {}): ProtocolSubject {
  const versions = Object.entries(FILES).map(([version, bytes]) => {
    const url = `{{upstream}}/tool/files/tool-${version}.bin`;
    const published = version === '1.0.0' ? '2026-01-01T00:00:00Z' : '2026-02-01T00:00:00Z';
    return [version, { url, sha256: createHash('sha256').update(bytes).digest('hex'), published }];
  });
  return {
    plugin: cratePlugin(changes),
    options: {},
    fixtures: {
      tool: {
        mediaType: 'application/json',
        body: JSON.stringify({ name: 'tool', latest: '1.1.0', versions: Object.fromEntries(versions) as object }),
      },
      'tool/files/tool-1.0.0.bin': { body: FILES['1.0.0'] },
      'tool/files/tool-1.1.0.bin': { body: FILES['1.1.0'], ranges: true, etag: '"second"' },
      'search?q=to': { body: '["tool"]', mediaType: 'application/json' },
    },
    cases: [
      { request: '/tool', resource: { class: 'sheet', key: 'sheet/tool' }, status: 200 },
      { request: '/tool?x=1', resource: { class: 'sheet', key: 'sheet/tool' }, status: 200 },
      {
        request: '/tool/files/tool-1.0.0.bin',
        resource: { class: 'file', key: 'file/tool-1.0.0.bin' },
        status: 200,
      },
      {
        request: '/tool/files/tool-1.1.0.bin',
        resource: { kind: 'artifact', filename: 'tool-1.1.0.bin' },
        status: 200,
      },
      { request: '/tool/files/tool-9.9.9.bin', resource: { kind: 'artifact' }, status: 404 },
      { request: '/none', resource: { class: 'sheet', key: 'sheet/none' }, status: 404 },
      { request: '/ping', resource: { kind: 'local', status: 200, body: 'pong' }, status: 200 },
      { request: '/search?q=to', resource: { kind: 'passthrough', upstreamPath: 'search?q=to' }, status: 200 },
      { request: '/Tool/what', resource: undefined, status: 404 },
      { request: { method: 'PUT', path: '/tool' }, resource: 'method-not-allowed', status: 405 },
      { request: '/tool/../tool', resource: 'bad-request', status: 400 },
    ],
    ...subject,
  };
}

function cratePlugin({
  classes: differing,
  renderError = printError,
  plugin,
  create,
  ...instance
}: CrateChanges): AnyDeclaredPlugin {
  const right = defineProtocolPlugin({
    id: 'crate',
    options: noOptions,
    inject: { logger: LOGGER, clock: CLOCK },
    proxy: {
      classes: changed(classes, differing),
      renderError,
      create() {
        create?.();
        return { route: routeCrate, ...instance };
      },
    },
  });
  return { ...right, ...plugin };
}
