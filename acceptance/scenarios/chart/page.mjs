import { strict as assert } from 'node:assert';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { render } from '@entrepot/fixtures/helm-chart';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { provideTool } from '@entrepot/fixtures/tools';
import { parse } from 'yaml';
import { checkConfiguration } from './configuration.mjs';

/** @import { Tally } from '../../tally.mjs' */

const PAGE = new URL('../../../docs/kubernetes.md', import.meta.url);

/** Renders the values that the page on Kubernetes shows, and has its commands read by shellcheck. @param {Tally} tally @param {string} helm @param {string} folder */
export async function pageOfKubernetes(tally, helm, folder) {
  const page = await readFile(PAGE, 'utf8');
  await tally.check('chart: the values that docs/kubernetes.md shows are rendered', async () => {
    const samples = [...page.matchAll(/^```yaml title="values.yaml"\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);
    assert.ok(samples.length > 3, 'samples of values were expected');
    for (const sample of samples)
      await checkConfiguration(await render(helm, folder, { values: parse(sample) }), folder);
  });
  const shellcheck = await provideTool('shellcheck');
  if (shellcheck === undefined) return;
  await tally.check('chart: shellcheck takes the commands of docs/kubernetes.md', async () => {
    const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);
    assert.ok(blocks.length > 3, 'commands were expected');
    const file = join(folder, 'commands.sh');
    await writeFile(file, `#!/bin/sh\n${blocks.join('\n')}`);
    const result = await runCommand([shellcheck, file], { cwd: folder, env: process.env, timeout: 60_000 });
    assert.equal(result.code, 0, outputOf(result));
  });
}
