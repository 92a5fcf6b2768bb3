import { parseOptions, type Content, type RequestHead } from '@entrepot/core';
import type { Protocol } from '@entrepot/core/engine';
import { createProtocol } from '@entrepot/core/testing';
import plugin from '../src/index.js';
import { filesOptions, type FilesOptions } from '../src/options.js';

/** The options for `written`. Fails with the problems that the schema found. */
export async function optionsOf(written: Record<string, unknown>): Promise<FilesOptions> {
  const result = await parseOptions(filesOptions, written);
  if (result.problems !== undefined) throw new Error(JSON.stringify(result.problems));
  return result.options;
}

/** The problems of `written`, as `path: message`. */
export async function problemsOf(written: Record<string, unknown>): Promise<string[]> {
  const { problems } = await parseOptions(filesOptions, written);
  return (problems ?? []).map(({ path, message }) => `${path}: ${message}`);
}

/** The protocol of a repository with these options. */
export async function protocolOf(
  written: Record<string, unknown> = {},
  kind: 'proxy' | 'hosted' = 'proxy',
): Promise<Pick<Protocol, 'route'>> {
  const upstreams = kind === 'proxy' ? [{ url: 'https://files.example.com' }] : [];
  const protocol = await createProtocol({ plugin, options: written }, { name: 'files', kind, upstreams });
  return { route: protocol.route.bind(protocol) };
}

/** The head of `method target`, split and decoded as core does it. */
export function headOf(target: string, method = 'GET', headers: Record<string, string> = {}): RequestHead {
  const [path = '', query = ''] = target.split('?', 2);
  const parts = path.slice(1).split('/');
  const trailingSlash = parts.at(-1) === '';
  if (trailingSlash) parts.pop();
  return {
    method,
    segments: parts.map(decodeURIComponent),
    trailingSlash,
    query: new URLSearchParams(query),
    rawQuery: query,
    header: (name) => headers[name],
  };
}

/** `text` as the body of a document. */
export function contentOf(text: string): Content {
  const bytes = new TextEncoder().encode(text);
  return {
    size: bytes.length,
    mediaType: 'text/plain',
    stream: async function* () {
      yield bytes;
    },
    bytes: async () => bytes,
  };
}
