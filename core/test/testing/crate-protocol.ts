import { createHash } from 'node:crypto';
import {
  type ArtifactDescription,
  CLOCK,
  EntrepotError,
  LOGGER,
  type RequestHead,
  type StandardSchema,
} from '@entrepot/core';
import {
  type ArtifactResource,
  type DocumentResource,
  type BoundResource,
  type Descriptions,
  type EngineProtocol,
  type EnginePlugin,
} from '@entrepot/core/engine';
import type { ProtocolSubject } from '@entrepot/core/testing';
import { enginePlugin } from '../engine/engine-plugin.js';

interface Sheet {
  readonly name: string;
  readonly latest?: string | undefined;
  readonly versions: Readonly<
    Record<string, { readonly url: string; readonly sha256: string; readonly published: string }>
  >;
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

function sheet(name: string): DocumentResource {
  return {
    kind: 'document',
    key: `sheet/${name}`,
    class: 'sheet',
    coordinates: { ecosystem: 'crate', name },
    upstreamPath: name,
    mediaType: 'application/json',
    expectedMediaTypes: ['application/json'],
    rewritten: true,
  };
}

function file(name: string, version: string): ArtifactResource {
  const filename = `${name}-${version}.bin`;
  return {
    kind: 'artifact',
    key: `file/${filename}`,
    class: 'file',
    coordinates: { ecosystem: 'crate', name, version },
    upstreamPath: `${name}/files/${filename}`,
    filename,
    describedBy: sheet(name),
  };
}

/** The right protocol: `/NAME` is a JSON sheet of versions, `/NAME/files/NAME-VERSION.bin` a file. */
export const crateProtocol: EngineProtocol = {
  route({ method, segments, query }: RequestHead): BoundResource | undefined {
    if (method !== 'GET' && method !== 'HEAD') throw new EntrepotError('method-not-allowed', 'expected GET');
    const [name = '', files, filename = '', ...more] = segments;
    if (name === 'ping' && segments.length === 1) return { kind: 'local', status: 200, body: 'pong' };
    if (name === 'search' && segments.length === 1) {
      const upstreamPath = `search?q=${encodeURIComponent(query.get('q') ?? '')}`;
      return { kind: 'passthrough', method: method === 'HEAD' ? 'HEAD' : 'GET', name: 'search', upstreamPath };
    }
    if (!NAME.test(name)) return undefined;
    if (segments.length === 1) return sheet(name);
    const [, of, version] = FILE.exec(filename) ?? [];
    if (files !== 'files' || of !== name || version === undefined || more.length > 0) return undefined;
    return file(name, version);
  },

  async describe(document, content): Promise<Descriptions> {
    const found = new Map<string, ArtifactDescription>();
    for (const [version, { sha256, published }] of Object.entries((await parse(content)).versions)) {
      const { key, coordinates } = file(document.upstreamPath, version);
      const integrity = [{ algorithm: 'sha256', hex: sha256 }] as const;
      found.set(key, { integrity, coordinates, publishedAt: Date.parse(published) });
    }
    return found;
  },

  async rewrite(_document, content, { baseUrl, admits, descriptions }) {
    const { name, latest = '', versions } = await parse(content);
    const listed: Record<string, Sheet['versions'][string]> = {};
    for (const [version, { sha256, published }] of Object.entries(versions)) {
      const { key, coordinates, filename } = file(name, version);
      if (coordinates === undefined || !admits(coordinates, descriptions.get(key))) continue;
      listed[version] = { url: `${baseUrl}/${name}/files/${filename}`, sha256, published };
    }
    const newest = latest in listed ? latest : Object.keys(listed).at(-1);
    return [JSON.stringify({ name, latest: newest, versions: listed })];
  },

  renderError: (error) => ({ mediaType: 'application/json', body: JSON.stringify({ error: error.message }) }),
};

async function parse(content: { bytes(limit: number): Promise<Uint8Array> }): Promise<Sheet> {
  try {
    return JSON.parse(Buffer.from(await content.bytes(1_000_000)).toString()) as Sheet;
  } catch (cause) {
    throw new EntrepotError('upstream-unavailable', 'the sheet is not JSON', { cause });
  }
}

export interface CrateChanges {
  readonly protocol?: Partial<EngineProtocol>;
  readonly plugin?: Partial<EnginePlugin>;
  readonly subject?: Partial<ProtocolSubject>;
  /** Called whenever a protocol is made. */
  readonly create?: () => void;
}

const FILES = { '1.0.0': Buffer.from('first'.repeat(10_000)), '1.1.0': Buffer.from('second'.repeat(20_000)) };

/** The plugin with its fixtures and its table. */
export function crateSubject({ protocol, plugin, subject, create }: CrateChanges = {}): ProtocolSubject {
  const versions = Object.entries(FILES).map(([version, bytes]) => {
    const url = `{{upstream}}/tool/files/tool-${version}.bin`;
    const published = version === '1.0.0' ? '2026-01-01T00:00:00Z' : '2026-02-01T00:00:00Z';
    return [version, { url, sha256: createHash('sha256').update(bytes).digest('hex'), published }];
  });
  const made = enginePlugin({
    id: 'crate',
    kinds: ['proxy'],
    options: noOptions,
    inject: { logger: LOGGER, clock: CLOCK },
    classes: {
      sheet: { kind: 'document', description: 'The versions of a name.' },
      file: { kind: 'artifact', description: 'The bytes of a version.' },
    },
    create() {
      create?.();
      return { ...crateProtocol, ...protocol };
    },
  });
  return {
    plugin: { ...made, ...plugin } as EnginePlugin,
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
      { request: '/tool', resource: { kind: 'document', key: 'sheet/tool' }, status: 200 },
      { request: '/tool?x=1', resource: { kind: 'document', key: 'sheet/tool' }, status: 200 },
      {
        request: '/tool/files/tool-1.0.0.bin',
        resource: { kind: 'artifact', key: 'file/tool-1.0.0.bin' },
        status: 200,
      },
      {
        request: '/tool/files/tool-1.1.0.bin',
        resource: { kind: 'artifact', filename: 'tool-1.1.0.bin' },
        status: 200,
      },
      { request: '/tool/files/tool-9.9.9.bin', resource: { kind: 'artifact' }, status: 404 },
      { request: '/none', resource: { kind: 'document', key: 'sheet/none' }, status: 404 },
      { request: '/ping', resource: { kind: 'local', status: 200, body: 'pong' }, status: 200 },
      { request: '/search?q=to', resource: { kind: 'passthrough', upstreamPath: 'search?q=to' }, status: 200 },
      { request: '/Tool/what', resource: undefined, status: 404 },
      { request: { method: 'PUT', path: '/tool' }, resource: 'method-not-allowed', status: 405 },
      { request: '/tool/../tool', resource: 'bad-request', status: 400 },
    ],
    ...subject,
  };
}
