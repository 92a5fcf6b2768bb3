import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../src/config/load.js';
import { createHost } from '../src/create-host.js';

/** Two formats of one package: their repositories say which one they are of. */
const PACKAGE = `
const options = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const format = (id) => ({
  kind: 'protocol', apiVersion: 1, id, options, inject: {},
  hosted: {
    classes: {},
    create: ({ repository }) => ({ route: () => ({ status: 200, body: repository.name + ' is ' + id, mediaType: 'text/plain' }) }),
  },
});
export default [format('acme'), format('acme-archive')];
`;

it('serves repositories of each format of one package', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'entrepot-several-'));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  writeFileSync(join(cwd, 'acme.mjs'), PACKAGE);
  writeFileSync(
    join(cwd, 'entrepot.yaml'),
    `plugins: [./acme.mjs]
repositories:
  one: { type: acme, kind: hosted }
  two: { type: acme-archive, kind: hosted }
`,
  );
  const loaded = await loadConfig({ env: { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0' }, cwd });
  const host = await createHost(loaded, { logger: silentLogger });
  onTestFinished(() => host.close());
  const [listener] = await host.listen();

  const answers = await Promise.all(
    ['one', 'two'].map(async (name) => await (await fetch(`${listener?.url}/${name}/x`)).text()),
  );

  expect(answers).toEqual(['one is acme', 'two is acme-archive']);
});
