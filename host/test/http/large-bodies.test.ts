import { expect, it } from 'vitest';
import { serve } from '../policy/support.js';

const LARGE = 24 * 1024 * 1024;
/** Shorter than the server's own patience with a client that stands still. */
const PATIENCE = 12_000;

it.each(['/-/api/v1/exceptions', '/-/api/v1/sbom', '/-/token'])(
  'tells who sends a body that is too large to %s so, and takes the next request',
  async (path) => {
    const { url, get } = await serve(
      `repositories:
        npm: { type: npm, upstream: "{upstream}" }
        images: { type: oci, kind: hosted, access: { users: { ann: { password: "\${env:SECRET}" } } } }`,
      {},
      { SECRET: 'a-password-of-the-test' },
    );
    const send = async () => {
      const body = 'a'.repeat(LARGE);
      return (await fetch(new URL(path, url), { method: 'POST', body, signal: AbortSignal.timeout(PATIENCE) })).status;
    };
    expect([await send(), await send()]).toEqual([413, 413]);
    expect((await get('/-/api/v1/policy')).status).toBe(200);
  },
);
