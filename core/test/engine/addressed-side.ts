import { createHash } from 'node:crypto';
import { artifactClass, documentClass, parseHex } from '../../src/index.js';
import { testSide, withClasses } from './harness.js';

/** The digest of `bytes`, as a name. */
export function digestOf(bytes: Buffer | string): `sha256:${string}` {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

const upstream = {
  accept: 'application/vnd.test+json',
  tokenScope: ({ key }: { readonly key: string }) => `pull:${key.split('/')[1]}`,
};
const addressed = {
  shared: true,
  size: ({ attributes }: { readonly attributes?: Readonly<Record<string, unknown>> | undefined }) =>
    attributes?.['size'] as number | undefined,
};

/**
 * A format of names for bytes: `/tags/<name>/<tag>` is a document that is pinned to `/bytes/<name>/<digest>`, which is an
 * artifact by its digest; `/blobs/<name>/<digest>` is the same with a media type of its own. Each name wants a token.
 */
export const addressedSide = withClasses(
  {
    tags: documentClass({
      about: 'a name for bytes',
      upstream,
      reply: { digestHeader: 'X-Digest' },
      trust: {
        addressed: {
          pinned({ key }) {
            const place = `bytes/${key.split('/')[1]}/{digest}`;
            return { key: place, path: place };
          },
        },
      },
    }),
    bytes: artifactClass({ about: 'bytes', upstream, trust: { addressed } }),
    blobs: artifactClass({
      about: 'bytes of one media type',
      upstream,
      reply: { mediaType: 'application/octet-stream' },
      trust: { addressed },
    }),
  },
  {
    route(head) {
      const { segments, query } = head;
      const [first = '', , reference = ''] = segments;
      const key = segments.join('/');
      if (first === 'tags') return { class: first, key, path: key };
      if (first !== 'bytes' && first !== 'blobs') return testSide.route(head);
      const integrity = parseHex('sha256', reference.slice('sha256:'.length));
      const attributes = query.has('size') ? { size: Number(query.get('size')) } : undefined;
      return { class: first, key, path: key, integrity: integrity && [integrity], attributes };
    },
  },
);
