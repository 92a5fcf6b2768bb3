import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkCertificates } from '../../src/cli/doctor-certificates.js';
import { BUILT_IN, loadConfig, type LoadedConfig } from '../../src/config/load.js';

const FIXTURES = path.resolve(import.meta.dirname, '../drivers/upstream/fixtures');
const DAY = 86_400_000;

async function configured(cert: string): Promise<LoadedConfig> {
  const loaded = await loadConfig({ env: {}, cwd: '/nowhere' });
  expect(loaded.sources).toEqual([BUILT_IN]);
  const tls = { cert: path.join(FIXTURES, cert), key: 'x', clientCertificates: 'none' as const };
  return { ...loaded, config: { ...loaded.config, server: { ...loaded.config.server, tls } } };
}

describe('checkCertificates', () => {
  it('says how long a certificate is good for', async () => {
    const loaded = await configured('server.pem');
    const [far] = checkCertificates(loaded, 0);
    const ends = Date.parse(/\d{4}-\d\d-\d\d$/.exec(far?.detail ?? '')?.[0] ?? '');

    expect(far).toMatchObject({
      status: 'ok',
      check: 'certificate',
      detail: expect.stringContaining('is valid until'),
    });
    expect(checkCertificates(loaded, ends - 2 * DAY)).toMatchObject([{ status: 'warn' }]);
    expect(checkCertificates(loaded, ends + DAY)).toMatchObject([
      { status: 'fail', detail: expect.stringContaining('ended') },
    ]);
  });

  it('leaves what is no certificate to the check of the configuration', async () => {
    expect(checkCertificates(await configured('README.md'), 0)).toEqual([]);
  });
});
