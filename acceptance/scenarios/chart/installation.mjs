import { strict as assert } from 'node:assert';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHART, example, parseManifests, runHelm } from '@entrepot/fixtures/helm-chart';
import { outputOf } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { builtTool } from '@entrepot/fixtures/tools';
import { Kubernetes } from '../../servers/kubernetes.mjs';
import { note } from '../../tally.mjs';
import { nextChart } from './upgrade.mjs';

/** @import { Tally } from '../../tally.mjs' */
/** @import { Manifest } from '@entrepot/fixtures/helm-chart' */

const MANIFESTS = fileURLToPath(new URL('../../../deploy/kubernetes', import.meta.url));
/** Values that an upgrade brings besides another version. */
const CHANGED = { server: { resources: { limits: { memory: '3Gi' } } }, config: { log: { level: 'warn' } } };

/**
 * Installs, upgrades, rolls back and removes releases by each helm, at the API of a real cluster: what data hangs on stays what it is.
 * @param {Tally} tally @param {readonly string[]} helms @param {ReadonlyMap<string, readonly Manifest[]>} renderings
 */
export async function installation(tally, helms, renderings) {
  const [etcd, apiServer] = [builtTool('etcd'), builtTool('kube-apiserver')];
  if (etcd === undefined || apiServer === undefined) {
    note(
      'kube-apiserver and etcd were not built (`node acceptance/install-tools.mjs --all`): installations are left out',
    );
    return;
  }
  await withScratch('kubernetes', async (folder) => {
    const cluster = new Kubernetes({ etcd, apiServer }, folder);
    try {
      await tally.check('chart: the API of a cluster starts', () => cluster.start());
      await tally.check('chart: the API takes the plain manifests', async () => {
        await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'entrepot' } });
        for (const file of await readdir(MANIFESTS)) {
          const manifests = parseManifests(await readFile(join(MANIFESTS, file), 'utf8'));
          assert.ok(manifests.length > 5, file);
          // All in one namespace: a StatefulSet and a Deployment of one name do not collide.
          for (const manifest of manifests) await cluster.apply(manifest);
        }
      });
      await tally.check('chart: the API takes all that is rendered', async () => {
        await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'packages' } });
        for (const [name, manifests] of renderings) {
          // Custom resources come with their operator.
          const known = manifests.filter(({ apiVersion }) => !apiVersion.startsWith('monitoring.'));
          for (const manifest of known) {
            await cluster
              .apply(manifest, { isTried: true })
              .catch((/** @type {Error} */ error) => assert.fail(`${name}: ${error.message}`));
          }
        }
      });
      const next = await nextChart(folder);
      for (const [index, helm] of helms.entries()) {
        const home = join(folder, `home-${index}`);
        await mkdir(home);
        const namespace = `packages-${index}`;
        await lifeOfRelease(tally, new Release(cluster, helm, home, namespace), next);
      }
      const [first, last] = [helms.at(0), helms.at(-1)];
      if (first !== undefined && last !== undefined && first !== last) {
        await tally.check('chart: a release of helm 3 is upgraded by helm 4', async () => {
          const before = new Release(cluster, first, join(folder, 'home-0'), 'moved');
          await before.install(CHART, 'ha-shared-volume.yaml');
          const kept = await before.kept();
          const after = new Release(cluster, last, join(folder, 'home-1'), 'moved');
          await after.upgrade(next, 'ha-shared-volume.yaml', CHANGED);
          assert.deepEqual(await after.kept(), kept);
        });
      }
    } finally {
      await cluster.kill();
    }
  });
}

/** @param {Tally} tally @param {Release} release @param {string} next the chart's next version */
async function lifeOfRelease(tally, release, next) {
  const version = (await release.helm('version', '--template', '{{.Version}}')).trim();
  const name = `chart: helm ${version}:`;
  /** @type {Awaited<ReturnType<Release['kept']>>} */
  let kept;
  const imageOf = (/** @type {any} */ { spec }) => spec.template.spec.containers[0].image;
  let image = '';
  await tally.check(`${name} the API takes an installation`, async () => {
    await release.install(CHART, 'default.yaml');
    kept = await release.kept();
    image = imageOf(await release.statefulSet());
    assert.deepEqual(Object.keys(kept.secret).sort(), ['admin-token', 'cluster-secret', 'metrics-token', 'token-key']);
    assert.deepEqual(
      kept.claims?.map((/** @type {any} */ { metadata }) => metadata.name),
      ['data', 'metadata'],
    );
  });
  await tally.check(`${name} an upgrade keeps secrets and claims, and replaces the pods`, async () => {
    const before = await release.statefulSet();
    await release.upgrade(next, 'default.yaml', CHANGED);
    const after = await release.statefulSet();
    assert.deepEqual(await release.kept(), kept);
    assert.equal(after.metadata.uid, before.metadata.uid);
    const checksum = (/** @type {any} */ { spec }) => spec.template.metadata.annotations['checksum/config'];
    assert.notEqual(checksum(after), checksum(before));
    assert.match(imageOf(after), /:99\.1\.0$/);
  });
  await tally.check(`${name} what the chart refuses, and what the API refuses, leaves secrets and claims`, async () => {
    const refused = await release.tryUpgrade(next, 'default.yaml', { replicaCount: { server: 2 } });
    assert.match(refused, /several servers cannot share a SQLite database/);
    const larger = await release.tryUpgrade(next, 'default.yaml', { storage: { filesystem: { size: '200Gi' } } });
    assert.match(larger, /updates to statefulset spec for fields other than .* are forbidden/);
    assert.deepEqual(await release.kept(), kept);
  });
  await tally.check(`${name} a rollback brings the version of before, and keeps secrets and claims`, async () => {
    await release.helm('rollback', 'entrepot', '1', ...release.place);
    assert.equal(imageOf(await release.statefulSet()), image);
    assert.deepEqual(await release.kept(), kept);
  });
  await tally.check(`${name} secrets outlive the release, and the next one finds them`, async () => {
    await release.helm('uninstall', 'entrepot', ...release.place);
    assert.equal((await release.ask('apps/v1', 'statefulsets', 'entrepot')).status, 404);
    await release.install(CHART, 'default.yaml');
    assert.deepEqual((await release.kept()).secret, kept.secret);
  });
  await tally.check(
    `${name} the claim of several servers outlives the release, and the next one finds it`,
    async () => {
      const shared = release.in(`${release.namespace}-shared`);
      await shared.install(CHART, 'ha-shared-volume.yaml');
      const claim = await shared.ask('v1', 'persistentvolumeclaims', 'entrepot-blobs');
      await shared.helm('uninstall', 'entrepot', ...shared.place);
      await shared.install(CHART, 'ha-shared-volume.yaml');
      const found = await shared.ask('v1', 'persistentvolumeclaims', 'entrepot-blobs');
      assert.equal(claim.status, 200);
      assert.equal(found.body.metadata.uid, claim.body.metadata.uid);
    },
  );
  await tally.check(`${name} the API takes several servers over a bucket, with scan workers`, async () => {
    await release.in(`${release.namespace}-bucket`).install(CHART, 'ha-s3.yaml');
  });
}

/** A release in a namespace of its own. */
class Release {
  #cluster;
  #program;
  #home;

  /** @param {Kubernetes} cluster @param {string} program @param {string} home @param {string} namespace */
  constructor(cluster, program, home, namespace) {
    this.#cluster = cluster;
    this.#program = program;
    this.#home = home;
    this.namespace = namespace;
    this.place = ['--namespace', namespace, '--kubeconfig', cluster.kubeconfig];
  }

  /** The same helm in another namespace. @param {string} namespace */
  in(namespace) {
    return new Release(this.#cluster, this.#program, this.#home, namespace);
  }

  /** @param {...string} args */
  async helm(...args) {
    const result = await runHelm(this.#program, args, { cwd: this.#home });
    assert.equal(result.code, 0, outputOf(result));
    return result.stdout;
  }

  /** @param {string} chart @param {string} values the name of an example */
  async install(chart, values) {
    await this.helm('install', 'entrepot', chart, '--create-namespace', '-f', example(values), ...this.place);
  }

  /** @param {string} chart @param {string} values @param {Record<string, unknown>} more */
  async upgrade(chart, values, more) {
    const result = await this.#upgrade(chart, values, more);
    assert.equal(result.code, 0, outputOf(result));
  }

  /** @param {string} chart @param {string} values @param {Record<string, unknown>} more @returns what it says of the refusal */
  async tryUpgrade(chart, values, more) {
    const result = await this.#upgrade(chart, values, more);
    assert.notEqual(result.code, 0, 'a refusal was expected');
    return result.stderr;
  }

  /** @param {string} chart @param {string} values @param {Record<string, unknown>} more */
  #upgrade(chart, values, more) {
    const args = ['upgrade', 'entrepot', chart, '-f', example(values), '-f', '-', ...this.place];
    return runHelm(this.#program, args, { cwd: this.#home, input: JSON.stringify(more) });
  }

  /** @param {string} version @param {string} kind @param {string} name */
  ask(version, kind, name) {
    const root = version === 'v1' ? '/api/v1' : `/apis/${version}`;
    return this.#cluster.ask(`${root}/namespaces/${this.namespace}/${kind}/${name}`);
  }

  async statefulSet() {
    const { status, body } = await this.ask('apps/v1', 'statefulsets', 'entrepot');
    assert.equal(status, 200);
    return body;
  }

  /** Everything that data and clients hang on. */
  async kept() {
    const secret = await this.ask('v1', 'secrets', 'entrepot');
    assert.equal(secret.status, 200);
    const stateful = await this.ask('apps/v1', 'statefulsets', 'entrepot');
    const claim = await this.ask('v1', 'persistentvolumeclaims', 'entrepot-blobs');
    return {
      secret: secret.body.data,
      claims: stateful.body.spec?.volumeClaimTemplates,
      selector: stateful.body.spec?.selector,
      claim: claim.body.metadata?.uid,
    };
  }
}
