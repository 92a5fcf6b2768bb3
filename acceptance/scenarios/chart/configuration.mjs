import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configurationOf } from '@entrepot/fixtures/helm-chart';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { parse } from 'yaml';
import { MAIN } from '../../servers/entrepot.mjs';

/** @import { Manifest } from '@entrepot/fixtures/helm-chart' */

/** A value for each variable that a pod takes from a secret, of the form that is expected there. @type {Record<string, string>} */
const SECRETS = { DATABASE_URL: 'postgres://entrepot:secret@db.example.com/entrepot' };
const SECRET = 'only-for-this-test-and-long-enough-for-every-key';

/**
 * Checks the configuration of rendered pods by `entrepot validate`, with the variables that these pods have and no others.
 * @param {readonly Manifest[]} manifests @param {string} folder
 */
export async function checkConfiguration(manifests, folder) {
  const file = join(folder, 'entrepot.yaml');
  const text = configurationOf(manifests);
  await writeFile(file, text);
  for (const pod of podsOf(manifests)) {
    const env = { PATH: process.env.PATH, HOME: folder, ...variablesOf(pod) };
    const result = await runCommand([process.execPath, MAIN, 'validate', '-c', file], {
      cwd: folder,
      env,
      timeout: 30_000,
    });
    assert.equal(result.code, 0, `${outputOf(result)}\n${text}`);
    // A secret that nothing reads would be one too many in the pod.
    for (const { name, valueFrom } of pod.containers[0].env) {
      if (valueFrom?.secretKeyRef !== undefined)
        assert.ok(text.includes(`\${env:${name}}`), `${name} is read by nothing`);
    }
  }
  return parse(text);
}

/** The pods of servers and scan workers. @param {readonly Manifest[]} manifests @returns {{ [key: string]: any }[]} */
export function podsOf(manifests) {
  return manifests
    .filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet')
    .map(({ spec }) => spec.template.spec);
}

/** The environment of a pod's container. @param {{ [key: string]: any }} pod @returns {Record<string, string>} */
export function variablesOf(pod) {
  const entries = pod.containers[0].env.map((/** @type {{ name: string, value?: string }} */ { name, value }) => [
    name,
    value ?? (name === 'POD_IP' ? '127.0.0.1' : (SECRETS[name] ?? SECRET)),
  ]);
  return Object.fromEntries(entries);
}
