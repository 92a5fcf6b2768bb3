import { createHash } from 'node:crypto';
import { parseHex } from '../../src/index.js';
import { type DocumentResource } from '../../src/engine/request/resource.js';
import { type EngineProtocol } from '../../src/engine/request/protocol.js';
import { testProtocol } from './harness.js';

/** The digest of `bytes`, as a name. */
export function digestOf(bytes: Buffer | string): `sha256:${string}` {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/**
 * A protocol of names for bytes: `/tags/<name>/<tag>` is a document that is pinned to `/bytes/<name>/<digest>`, which is an
 * artifact by its digest; `/blobs/<name>/<digest>` is the same with a media type of its own. Each name wants a token.
 */
export const addressedProtocol: EngineProtocol = {
  ...testProtocol,
  route({ segments, query }) {
    const [kind, name = '', reference = ''] = segments;
    const common = {
      key: segments.join('/'),
      upstreamPath: segments.join('/'),
      tokenScope: `pull:${name}`,
      accept: 'application/vnd.test+json',
    };
    switch (kind) {
      case 'tags':
        return {
          ...common,
          kind: 'document',
          class: 'document',
          digestHeader: 'X-Digest',
          pinned: { key: `bytes/${name}/{digest}`, upstreamPath: `bytes/${name}/{digest}`, digestHeader: 'x-digest' },
        } satisfies DocumentResource;
      case 'bytes':
      case 'blobs': {
        const integrity = parseHex('sha256', reference.slice('sha256:'.length));
        return {
          ...common,
          kind: 'artifact',
          class: 'artifact',
          filename: reference,
          integrity: integrity && [integrity],
          contentAddressed: true,
          mediaType: kind === 'blobs' ? 'application/octet-stream' : undefined,
          size: query.has('size') ? Number(query.get('size')) : undefined,
        };
      }
      default:
        return testProtocol.route({ segments, query } as Parameters<EngineProtocol['route']>[0]);
    }
  },
};
