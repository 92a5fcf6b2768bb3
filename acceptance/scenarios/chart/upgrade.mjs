import { strict as assert } from 'node:assert';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { CHART, example, manifestOf, nameOf, render } from '@entrepot/fixtures/helm-chart';
import { note } from '../../tally.mjs';
import { podsOf } from './configuration.mjs';

/** @import { Tally } from '../../tally.mjs' */
/** @import { Manifest } from '@entrepot/fixtures/helm-chart' */

/** Fields that Kubernetes lets nobody change, or that data would be lost with. @type {Record<string, readonly string[]>} */
const LASTING = {
  StatefulSet: ['selector', 'serviceName', 'volumeClaimTemplates', 'podManagementPolicy'],
  Deployment: ['selector'],
  PersistentVolumeClaim: ['accessModes', 'storageClassName', 'volumeName', 'resources'],
  Service: ['clusterIP', 'type', 'selector'],
};

/** A copy of the chart as its next version. @param {string} folder */
export async function nextChart(folder) {
  const chart = join(folder, 'entrepot');
  await cp(CHART, chart, { recursive: true });
  const file = join(chart, 'Chart.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replaceAll(/^(version|appVersion): .*$/gm, '$1: 99.1.0'));
  return chart;
}

/**
 * Renders the next version, with other values that an upgrade brings, and compares: what data hangs on stays as it is.
 * @param {Tally} tally @param {string} helm @param {string} folder
 */
export async function upgrade(tally, helm, folder) {
  const chart = await nextChart(folder);
  const values = {
    server: { resources: { limits: { memory: '3Gi' } } },
    repositories: { more: { type: 'files', kind: 'hosted' } },
  };
  for (const name of ['default.yaml', 'ha-s3.yaml', 'ha-shared-volume.yaml']) {
    await tally.check(`chart: an upgrade of ${name} changes nothing that data hangs on`, async () => {
      const before = await render(helm, folder, { files: [example(name)] });
      const after = await render(helm, folder, { files: [example(name)], chart, values });
      assert.deepEqual(after.map(nameOf), before.map(nameOf));
      for (const manifest of before) {
        const next = manifestOf(after, manifest.kind, manifest.metadata.name);
        for (const key of LASTING[manifest.kind] ?? []) {
          assert.deepEqual(next.spec[key], manifest.spec[key], `${nameOf(manifest)}: spec.${key}`);
        }
        const policy = 'helm.sh/resource-policy';
        assert.equal(next.metadata.annotations?.[policy], manifest.metadata.annotations?.[policy]);
      }
      // A change that is none of the configuration leaves the pods alone.
      const moved = await render(helm, folder, { files: [example(name)], values: { service: { port: 81 } } });
      assert.deepEqual(podsOf(moved), podsOf(before));
      const pods = (/** @type {readonly Manifest[]} */ all) => all.filter(({ spec }) => spec?.template !== undefined);
      for (const [index, { spec }] of pods(before).entries()) {
        const next = pods(after)[index]?.spec.template;
        assert.notEqual(
          next.metadata.annotations['checksum/config'],
          spec.template.metadata.annotations['checksum/config'],
        );
        assert.deepEqual(next.spec.volumes, spec.template.spec.volumes);
        assert.deepEqual(next.spec.containers[0].volumeMounts, spec.template.spec.containers[0].volumeMounts);
      }
      // Without a cluster secrets are made anew each time; `installation.mjs` looks at them.
      const shown = before.filter(({ kind }) => kind !== 'Secret');
      const changed = shown.flatMap((one) => differences(one, manifestOf(after, one.kind, one.metadata.name), ''));
      note(`what an upgrade of ${name} changes: ${[...new Set(changed)].sort().join(', ')}`);
    });
  }
}

/** The paths at which two values differ. @param {any} left @param {any} right @param {string} path @returns {string[]} */
function differences(left, right, path) {
  if (isDeepStrictEqual(left, right)) return [];
  if (![left, right].every((value) => typeof value === 'object' && value !== null)) return [path];
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...keys].flatMap((key) => differences(left[key], right[key], path === '' ? key : `${path}.${key}`));
}
