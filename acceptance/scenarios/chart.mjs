import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { get } from '@entrepot/fixtures/get';
import { CHART, EXAMPLES, example, render, runHelm, stringifyManifest, template } from '@entrepot/fixtures/helm-chart';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { note } from '../tally.mjs';
import { alerts, checkMetricNames } from './chart/alerts.mjs';
import { checkConfiguration, podsOf } from './chart/configuration.mjs';
import { installation } from './chart/installation.mjs';
import { kubernetesSchemas, VERSIONS } from './chart/kubernetes-schemas.mjs';
import { pageOfKubernetes } from './chart/page.mjs';
import { REFUSALS, UNKNOWN, VARIANTS } from './chart/refusals.mjs';
import { OFFLINE, runRendered, runSeveral, useServer } from './chart/run-rendered.mjs';
import { upgrade } from './chart/upgrade.mjs';

/** @import { Tally } from '../tally.mjs' */
/** @import { ToolName } from '@entrepot/fixtures/tools' */
/** @import { Manifest, Rendering } from '@entrepot/fixtures/helm-chart' */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The Helm chart and what is made from it: rendered by two helms, held against the schemas of Kubernetes and the server's own
 * check of its configuration, against values that it must refuse, and installed at the API of a cluster without nodes.
 * @param {Tally} tally
 */
export async function chart(tally) {
  /** @type {string[]} */
  const helms = [];
  for (const name of /** @type {ToolName[]} */ (['helm-3', 'helm-4'])) {
    const helm = await provideTool(name);
    if (helm !== undefined) helms.push(helm);
  }
  const [helm] = helms;
  if (helm === undefined) {
    note('no helm on this machine: the chart is left out');
    return;
  }
  /** @type {Map<string, Manifest[]>} */
  let renderings = new Map();
  await withScratch('chart', async (folder) => {
    renderings = await rendered(tally, helms, folder);
    await refused(tally, helms, folder);
    await judged(tally, renderings, folder);
    await upgrade(tally, helm, folder);
    await tally.check('chart: a server runs with a rendered configuration', async () => {
      const manifests = await render(helm, folder, { values: OFFLINE });
      const [pod] = podsOf(manifests);
      await runRendered(manifests, (server, env) => useServer(server, env, pod?.containers[0]));
    });
    await tally.check('chart: two servers run over PostgreSQL and a bucket with a rendered configuration', async () => {
      const isThere = await runSeveral((values) => render(helm, folder, { values }));
      if (!isThere) note('PostgreSQL and versitygw were expected on this machine: two servers are left out');
    });
    await tally.check('chart: a server exports every metric of the dashboard and the alert rules', async () => {
      const security = { enabled: true, scanners: { osv: { enabled: true, from: folder } } };
      const manifests = await render(helm, folder, {
        values: { ...OFFLINE, security, metrics: { requireToken: false } },
      });
      await runRendered(manifests, async (server) => {
        await checkMetricNames((await get(`${server.url}/metrics`)).body.toString());
      });
    });
    await pageOfKubernetes(tally, helm, folder);
  });
  await installation(tally, helms, renderings);
  await tally.check('chart: manifests, dashboard, alert rules and the table of values are up to date', async () => {
    const command = [process.execPath, 'scripts/render-deploy.mjs', '--check'];
    const result = await runCommand(command, { cwd: ROOT, env: process.env, timeout: 60_000 });
    assert.equal(result.code, 0, outputOf(result));
  });
  const promtool = await provideTool('promtool');
  if (promtool !== undefined) await alerts(tally, promtool);
}

/**
 * Renders the examples and other right values, by each helm alike.
 * @param {Tally} tally @param {readonly string[]} helms @param {string} folder
 * @returns {Promise<Map<string, Manifest[]>>}
 */
async function rendered(tally, helms, folder) {
  /** @type {Map<string, Rendering>} */
  const wanted = new Map(EXAMPLES.map((name) => [name, { files: [example(name)] }]));
  for (const [name, values] of Object.entries(VARIANTS)) wanted.set(name, { values });
  /** @type {Map<string, Manifest[]>} */
  const renderings = new Map();
  for (const [name, rendering] of wanted) {
    await tally.check(
      `chart: ${name}: each helm makes the same of it, and the server takes the configuration`,
      async () => {
        const [first = [], ...others] = await Promise.all(helms.map((helm) => render(helm, folder, rendering)));
        for (const other of others) assert.deepEqual(withoutSecrets(other), withoutSecrets(first));
        renderings.set(name, first);
        await checkConfiguration(first, folder);
      },
    );
  }
  for (const name of EXAMPLES) {
    await tally.check(`chart: helm lint --strict, with ${name}`, async () => {
      for (const helm of helms) {
        const result = await runHelm(helm, ['lint', '--strict', CHART, '-f', example(name)], { cwd: folder });
        assert.equal(result.code, 0, outputOf(result));
      }
    });
  }
  return renderings;
}

/** Leaves out values that are generated anew each time. @param {readonly Manifest[]} manifests */
function withoutSecrets(manifests) {
  return manifests.map((manifest) =>
    manifest.kind === 'Secret' && manifest.type === 'Opaque' && manifest.data !== undefined
      ? { ...manifest, data: Object.keys(manifest.data) }
      : manifest,
  );
}

/** @param {Tally} tally @param {readonly string[]} helms @param {string} folder */
async function refused(tally, helms, folder) {
  for (const { name, values, sentence } of REFUSALS) {
    await tally.check(`chart: refuses ${name}`, async () => {
      for (const helm of helms) {
        const result = await template(helm, folder, { values });
        assert.notEqual(result.code, 0, 'a refusal was expected');
        assert.ok(result.stderr.includes(sentence), result.stderr);
        assert.match(result.stderr, /\b(?:Set|set|Enable|Bind) \S/);
      }
    });
  }
  for (const { values, sentence } of UNKNOWN) {
    await tally.check(`chart: the schema refuses ${JSON.stringify(values)}`, async () => {
      for (const helm of helms) {
        const result = await template(helm, folder, { values });
        assert.notEqual(result.code, 0, 'a refusal was expected');
        assert.match(result.stderr, /values don't meet the specifications of the schema/);
        assert.ok(result.stderr.includes(sentence), result.stderr);
      }
    });
  }
}

/**
 * Has what was rendered judged by programs of others.
 * @param {Tally} tally @param {ReadonlyMap<string, readonly Manifest[]>} renderings @param {string} folder
 */
async function judged(tally, renderings, folder) {
  const kubeconform = await provideTool('kubeconform');
  const kubeScore = await provideTool('kube-score');
  const unittest = await provideTool('helm-unittest');
  const options = { cwd: folder, env: process.env, timeout: 120_000 };
  const written = async (/** @type {readonly Manifest[]} */ manifests) => {
    const file = join(folder, 'manifests.yaml');
    await writeFile(file, manifests.map(stringifyManifest).join('---\n'));
    return file;
  };
  const schemas = await kubernetesSchemas().catch((/** @type {Error} */ error) => {
    note(`no schemas of Kubernetes (${error.message}): kubeconform is left out`);
    return undefined;
  });
  if (kubeconform !== undefined && schemas !== undefined) {
    for (const version of VERSIONS) {
      await tally.check(`chart: Kubernetes ${version} knows every field (kubeconform)`, async () => {
        const flags = ['-strict', '-summary', '-kubernetes-version', version, '-schema-location', schemas];
        // The schemas of custom resources come with their operator.
        const command = [kubeconform, ...flags, '-skip', 'ServiceMonitor,PrometheusRule'];
        for (const [name, manifests] of renderings) {
          const result = await runCommand([...command, await written(manifests)], options);
          assert.equal(result.code, 0, `${name}: ${outputOf(result)}`);
          assert.match(result.stdout, /Valid: [1-9]\d*, Invalid: 0, Errors: 0/);
        }
        const plain = await runCommand([...command, join(ROOT, 'deploy', 'kubernetes')], options);
        assert.equal(plain.code, 0, outputOf(plain));
        const [manifests = []] = renderings.values();
        const wrong = manifests.map((manifest) => ({ ...manifest, unknown: 1 }));
        assert.notEqual((await runCommand([...command, await written(wrong)], options)).code, 0, 'an unknown key');
      });
    }
  }
  if (kubeScore !== undefined) {
    await tally.check('chart: kube-score finds nothing critical in the examples', async () => {
      for (const name of EXAMPLES) {
        const file = await written(renderings.get(name) ?? []);
        // A registry that was down would keep its own pods from starting with `Always`.
        const flags = ['--kubernetes-version=v1.33', '--output-format=ci', '--ignore-test=container-image-pull-policy'];
        const result = await runCommand([kubeScore, 'score', ...flags, file], options);
        assert.equal(result.code, 0, `${name}: ${outputOf(result)}`);
        assert.match(result.stdout, /^\[OK\]/m);
      }
    });
  }
  if (unittest !== undefined) {
    await tally.check('chart: helm-unittest', async () => {
      const result = await runCommand([unittest, '--strict', CHART], options);
      assert.equal(result.code, 0, outputOf(result));
      note(/^Tests:.*$/m.exec(result.stdout)?.[0] ?? 'no tests');
    });
  }
}
