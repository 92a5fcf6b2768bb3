import { parseArgs } from 'node:util';
import { chooseHelmClients } from './clients/helm.mjs';
import { chooseClients } from './clients/npm.mjs';
import { chooseOciClients, OCI_CLIENTS } from './clients/oci.mjs';
import { choosePythonClients } from './clients/python.mjs';
import { aptReal } from './scenarios/apt-real.mjs';
import { api } from './scenarios/api.mjs';
import { apk } from './scenarios/apk.mjs';
import { backup } from './scenarios/backup.mjs';
import { badInput } from './scenarios/bad-input.mjs';
import { bytePath } from './scenarios/byte-path.mjs';
import { cargoHermetic } from './scenarios/cargo-hermetic.mjs';
import { cargoReal } from './scenarios/cargo-real.mjs';
import { chart } from './scenarios/chart.mjs';
import { clientsHermetic } from './scenarios/clients-hermetic.mjs';
import { clientsReal } from './scenarios/clients-real.mjs';
import { closingUpstreams } from './scenarios/closing-upstreams.mjs';
import { clouds } from './scenarios/clouds.mjs';
import { consistency } from './scenarios/consistency.mjs';
import { cluster } from './scenarios/cluster.mjs';
import { crash } from './scenarios/crash.mjs';
import { databaseOutage } from './scenarios/database-outage.mjs';
import { deployment } from './scenarios/deployment.mjs';
import { deb } from './scenarios/deb.mjs';
import { debHosted } from './scenarios/deb-hosted.mjs';
import { faultMatrix } from './scenarios/fault-matrix.mjs';
import { move } from './scenarios/move.mjs';
import { firstHour } from './scenarios/first-hour.mjs';
import { image } from './scenarios/image.mjs';
import { keys } from './scenarios/keys.mjs';
import { goHermetic } from './scenarios/go-hermetic.mjs';
import { goReal } from './scenarios/go-real.mjs';
import { helmHermetic } from './scenarios/helm-hermetic.mjs';
import { limits } from './scenarios/limits.mjs';
import { mavenHermetic } from './scenarios/maven-hermetic.mjs';
import { mavenReal } from './scenarios/maven-real.mjs';
import { ociConformance } from './scenarios/oci-conformance.mjs';
import { ociHermetic } from './scenarios/oci-hermetic.mjs';
import { pacman } from './scenarios/pacman.mjs';
import { policyClients } from './scenarios/policy-clients.mjs';
import { prometheus } from './scenarios/prometheus.mjs';
import { pythonHermetic } from './scenarios/python-hermetic.mjs';
import { pythonReal } from './scenarios/python-real.mjs';
import { reload } from './scenarios/reload.mjs';
import { replicas } from './scenarios/replicas.mjs';
import { rollingRestart } from './scenarios/rolling-restart.mjs';
import { rpmHosted } from './scenarios/rpm-hosted.mjs';
import { rpm } from './scenarios/rpm.mjs';
import { rubygems } from './scenarios/rubygems.mjs';
import { s3 } from './scenarios/s3.mjs';
import { scanners } from './scenarios/scanners.mjs';
import { space } from './scenarios/space.mjs';
import { schedulesOverStores } from './scenarios/space/stores.mjs';
import { toxics } from './scenarios/toxics.mjs';
import { workers } from './scenarios/workers.mjs';
import { upstreamFaults } from './scenarios/upstream-faults.mjs';
import { noteLate, watchLoop } from './loop-delay.mjs';
import { note, Tally } from './tally.mjs';

const USAGE = `node acceptance/run.mjs [options]: real clients against a running server

  (none)               every client installs a real application from this machine's npm registry
                       or Python package index, or builds with go or cargo
  --all                every scenario below in its long form: hours
  --client NAME        only this client, and a smaller application; may be given more than once
  --full               with --client: the large application as well
  --hermetic           everything that needs no registry, in its short form and with one client of each family (what
                       \`npm test\` runs); with --client, those
  --bytes              the byte path in its full size
  --crash              100 crashes instead of the few of --hermetic
  --closing            10,000 requests of each kind to upstreams that close connections, instead of the few of --hermetic
  --consistency        1,000 versions on three servers over one store that are killed, instead of the few of --hermetic
  --toxics             eight kinds of sick upstreams with seven set-ups: what is kept answers within three seconds, instead of
                       the few of --hermetic; and databases that are down, hang or have no room
  --matrix             eight faults of connections to the upstream, S3, PostgreSQL and Redis with six formats: what is kept is
                       served, nothing is cut short or hangs; two of them in --hermetic
  --rolling            10 rounds of restarts behind a balancer, instead of the one of --hermetic
  --reload             50 reloads of the configuration, 10 of them wrong, with one process and with two, while npm installs, downloads and
                       uploads go on, instead of the few of --hermetic
  --cluster            three servers over PostgreSQL, S3 and Redis: 100 clients on a cold artifact of 128 MiB, and the server that fetches
                       it killed at 10, 50 and 90 %, instead of the few of --hermetic
  --replicas           three servers over PostgreSQL and S3: 10 rounds of restarts with 20 long downloads, and 200 kills
                       while clients upload, instead of the few of --hermetic
  --backup             a backup beside a minute of requests, instead of the few seconds of --hermetic, and its restoration
  --move               a server of 4,000 files moves from a folder and SQLite to S3 and PostgreSQL, by commands that are killed 20
                       times, instead of the 200 and two of --hermetic
  --space              bounds, eviction and collection: 10 minutes of load against 1 GiB, 1,000 random schedules of put, delete, evict,
                       gc and kill, two servers that evict and collect, a full volume, instead of the few of --hermetic
  --stores             100 random schedules of those over stores that are no folder
  --store NAME         of --stores: s3, azure or google alone; repeatable
  --seed N             of space: what is random follows from it
  --first-hour         the first hour of a new user with every client of the README, not one of each family, and with
                       dependencies that are installed, not copied as those of --hermetic
  --only NAME          of --hermetic: clients, bytes, crash, consistency, input, api, faults, toxics, matrix, database, closing, rolling, reload, limits, backup, workers, cluster, replicas, s3, clouds, deploy, prometheus, move, space,
                       first-hour, python, go, cargo, maven, keys, policy, oci, deb, deb-hosted, rpm, rpm-hosted, pacman, apk or helm;
                       may be given more than once
  --policy             policy with all clients, instead of the few of --hermetic
  --write-docs         with --policy: writes what clients print into docs/policy-messages.md, instead of comparing it
  --conformance        the conformance test of the OCI distribution specification, which \`go\` has to be there for
  --chart              the Helm chart, the manifests, the dashboard and the alert rules: rendered and checked, without a cluster; then the dashboard
                       and the alerts at a Prometheus that reads a server
  --scanners           real scanners (Trivy in a new and an old build, Grype) over small databases of our own
  --deb                apt behind archives that change every 200 ms, one of them kept by reprepro, 500 rounds of 20 clients instead of the
                       few of --hermetic, and 100 rounds past the server and through apt-cacher-ng; 25 clients of a package of 100 MB,
                       the first of which reads 1 KB/s; and a repository of one's own with 2,000 packages, instead of 100
  --rpm                dnf, zypper and readers behind repositories of createrepo_c that change every 200 ms: 300 rounds of dnf and zypper beside
                       16 readers, instead of the few of --hermetic; and a repository of one's own with 2,000 packages, instead of 50
  --pacman             pacman behind repositories of repo-add that change every 200 ms: 300 rounds of 20 clients, instead of the few of
                       --hermetic
  --apk                readers that verify as apk does, behind a repository that changes every 200 ms: 1,000 rounds of 20 clients, instead of
                       the few of --hermetic
  --rubygems           the plugin of acceptance/plugins/rubygems with real \`gem\` and \`bundle\`
  --image              the image of deploy/Dockerfile, built and run without a daemon; the first time its bases are made (two minutes)
  --peer               of oci and helm: the same clients on a registry program and on ChartMuseum themselves

  A NAME of --client is apt for Debian's archives, those that apt of this machine is set up with: hundreds of packages, sources and
  whole systems; mvn for builds of three projects by three versions of Maven, from the repository that it is set up with. They are not among those of a run without flags;
  \`--all\` has them.
  A NAME of --client for images and charts is oci (all of skopeo, buildah, podman, ctr, crane, oras), helm (helm-3 and
  helm-4), or one of these. They need no registry of the machine.
`;

/** Scenarios with a long form. */
const LONG = /** @type {const} */ ([
  'stores',
  'conformance',
  'chart',
  'scanners',
  'rubygems',
  'image',
  'deb',
  'rpm',
  'pacman',
  'apk',
  'policy',
  'bytes',
  'crash',
  'closing',
  'rolling',
  'reload',
  'backup',
  'move',
  'matrix',
  'cluster',
  'replicas',
  'space',
  'toxics',
  'consistency',
  'first-hour',
]);

/** One of each family, so that `npm test` stays short. Without --hermetic all of them run. */
const FAMILIES = ['npm', 'pnpm-12', 'yarn-1', 'yarn-4', 'bun'];

const { values } = parseArgs({
  options: {
    client: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', multiple: true, default: [] },
    full: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    hermetic: { type: 'boolean', default: false },
    bytes: { type: 'boolean', default: false },
    crash: { type: 'boolean', default: false },
    rolling: { type: 'boolean', default: false },
    reload: { type: 'boolean', default: false },
    cluster: { type: 'boolean', default: false },
    replicas: { type: 'boolean', default: false },
    backup: { type: 'boolean', default: false },
    move: { type: 'boolean', default: false },
    toxics: { type: 'boolean', default: false },
    matrix: { type: 'boolean', default: false },
    closing: { type: 'boolean', default: false },
    stores: { type: 'boolean', default: false },
    store: { type: 'string', multiple: true, default: [] },
    space: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    'first-hour': { type: 'boolean', default: false },
    consistency: { type: 'boolean', default: false },
    policy: { type: 'boolean', default: false },
    'write-docs': { type: 'boolean', default: false },
    conformance: { type: 'boolean', default: false },
    chart: { type: 'boolean', default: false },
    scanners: { type: 'boolean', default: false },
    rubygems: { type: 'boolean', default: false },
    image: { type: 'boolean', default: false },
    deb: { type: 'boolean', default: false },
    rpm: { type: 'boolean', default: false },
    pacman: { type: 'boolean', default: false },
    apk: { type: 'boolean', default: false },
    peer: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.all) for (const name of LONG) values[name] = true;

if (values.help) {
  process.stdout.write(USAGE);
} else {
  const tally = new Tally();
  watchLoop((text) => noteLate(`this process: ${text}`));
  const started = performance.now();
  const python = choosePythonClients(values.client, { short: values.hermetic });
  const wantsGo = values.client.includes('go');
  const wantsCargo = values.client.includes('cargo');
  const images = values.client.filter((name) => name === 'oci' || OCI_CLIENTS.some((client) => client.name === name));
  const charts = values.client.filter((name) => name === 'helm' || name === 'helm-3' || name === 'helm-4');
  const wantsApt = values.client.includes('apt');
  const wantsMaven = values.client.includes('mvn');
  const apart = new Set(['go', 'cargo', 'apt', 'mvn', ...images, ...charts, ...python.map(({ name }) => name)]);
  const others = values.client.filter((name) => !apart.has(name));
  const isOther = others.length > 0 || values.client.length === 0;
  const clients = isOther ? chooseClients(values.hermetic && others.length === 0 ? FAMILIES : others) : [];
  const seed = Number(values.seed);
  /** Runs a part of --hermetic. A failure to set it up is counted, and keeps no other part from being run. */
  const part = async (/** @type {string} */ name, /** @type {() => Promise<unknown>} */ run) => {
    if (values.only.length > 0 && !values.only.includes(name)) return;
    const begun = performance.now();
    await run().catch((error) => tally.check(`${name}: runs to its end`, () => Promise.reject(error)));
    note(`${name}: ${Math.round((performance.now() - begun) / 1000)} s`);
  };

  if (values.conformance) await ociConformance(tally);
  if (values.chart) {
    await chart(tally);
    await prometheus(tally);
  }
  if (values.scanners) await scanners(tally);
  if (values.rubygems) await rubygems(tally);
  if (values.image) await image(tally);
  if (values.all) {
    await aptReal(tally);
    await mavenReal(tally);
  }
  if (values.rpm) await rpm(tally, { rounds: 300, clients: 20 });
  if (values.pacman) await pacman(tally, { rounds: 300, clients: 20 });
  if (values.apk) await apk(tally, { rounds: 1000, clients: 20 });
  if (values.deb) {
    await deb(tally, { rounds: 500, clients: 20, megabytes: 100, peerRounds: 100 });
    await debHosted(tally, { packages: 2_000 });
  }
  if (values.rpm) await rpmHosted(tally, { packages: 2_000 });
  if (values.policy) {
    const families = {
      npm: chooseClients([]),
      python: choosePythonClients([], { short: false }),
      helm: await chooseHelmClients(['helm']),
    };
    await policyClients(tally, families, { writeDocs: values['write-docs'] });
  }
  if (values.bytes) await bytePath(tally, { full: true });
  if (values.crash) await crash(tally, { rounds: 100 });
  if (values.toxics) {
    await toxics(tally, { full: true });
    await databaseOutage(tally);
  }
  if (values.matrix) await faultMatrix(tally, { full: true });
  if (values.closing) await closingUpstreams(tally, { requests: 10_000 });
  if (values.consistency) await consistency(tally, { versions: 1000 });
  if (values['first-hour']) await firstHour(tally, { full: true });
  if (values.cluster)
    await cluster(tally, { clients: 100, size: 128, kills: [10, 50, 90], versions: 200, firstByte: 250, sleeps: true });
  if (values.replicas) await replicas(tally, { rounds: 10, downloads: 20, kills: 200 });
  if (values.backup) await backup(tally, { seconds: 60 });
  if (values.move) await move(tally, { kills: 20, files: 4_000 });
  if (values.reload) await reload(tally, { rounds: 50, wrong: 10 });
  if (values.rolling) await rollingRestart(tally, { rounds: 10 });
  if (values.stores) await schedulesOverStores(tally, { schedules: 100, seed }, values.store);
  if (values.space) await space(tally, { full: true, seed });
  if (values.hermetic) {
    await part('input', () => badInput(tally));
    await part('api', () => api(tally, { examples: 10, seconds: 110 }));
    await part('faults', () => upstreamFaults(tally));
    await part('toxics', () => toxics(tally, { full: false }));
    await part('matrix', () => faultMatrix(tally, { full: false }));
    await part('database', () => databaseOutage(tally));
    await part('deb', () => deb(tally, { rounds: 20, clients: 4, megabytes: 5, peerRounds: 0 }));
    await part('rpm', () => rpm(tally, { rounds: 8, clients: 6 }));
    await part('pacman', () => pacman(tally, { rounds: 20, clients: 4 }));
    await part('apk', () => apk(tally, { rounds: 40, clients: 4 }));
    await part('deb-hosted', () => debHosted(tally, { packages: 100 }));
    await part('rpm-hosted', () => rpmHosted(tally, { packages: 50 }));
    await part('closing', () => closingUpstreams(tally, { requests: 200 }));
    await part('first-hour', () => firstHour(tally, { full: false }));
    await part('reload', () => reload(tally, { rounds: 6, wrong: 2 }));
    await part('limits', () => limits(tally));
    await part('rolling', () => rollingRestart(tally, { rounds: 1 }));
    await part('bytes', () => bytePath(tally, { full: false }));
    await part('crash', () => crash(tally, { rounds: 10 }));
    await part('space', () => space(tally, { full: false, seed }));
    await part('consistency', () => consistency(tally, { versions: 50 }));
    await part('workers', () => workers(tally));
    // Beside other work the time until a first byte says little.
    await part('cluster', () => cluster(tally, { clients: 30, size: 16, kills: [50], versions: 5, firstByte: 5_000 }));
    await part('replicas', () => replicas(tally, { rounds: 1, downloads: 6, kills: 3 }));
    await part('backup', () => backup(tally, { seconds: 2 }));
    await part('s3', () => s3(tally, { rounds: 5 }));
    await part('clouds', () => clouds(tally));
    await part('deploy', () => deployment(tally));
    // Its time is that of alerts: with --chart, or by name.
    if (values.only.includes('prometheus')) await part('prometheus', () => prometheus(tally));
    await part('move', () => move(tally, { kills: 2, files: 200 }));
    if (clients.length > 0) await part('clients', () => clientsHermetic(tally, clients));
    if (python.length > 0) await part('python', () => pythonHermetic(tally, python));
    if (wantsGo || values.client.length === 0) await part('go', () => goHermetic(tally));
    if (wantsCargo || values.client.length === 0) await part('cargo', () => cargoHermetic(tally));
    await part('maven', () => mavenHermetic(tally));
    await part('keys', () => keys(tally));
    await part('policy', () => policyClients(tally, { npm: clients, python, helm: [] }, { writeDocs: false }));
  }
  const { peer } = values;
  if (images.length > 0 || (values.hermetic && values.only.includes('oci'))) {
    await ociHermetic(tally, await chooseOciClients(images.length > 0 ? images : ['skopeo']), { peer });
  }
  if (charts.length > 0 || (values.hermetic && values.only.includes('helm'))) {
    await helmHermetic(tally, await chooseHelmClients(charts.length > 0 ? charts : ['helm-3']), { peer });
  }
  const isChosen = values.hermetic || LONG.some((name) => values[name]);
  if (!isChosen) {
    const small = values.client.length > 0 && !values.full;
    if (clients.length > 0) await clientsReal(tally, clients, { small });
    if (python.length > 0) await pythonReal(tally, python, { small });
    if (wantsGo || values.client.length === 0) await goReal(tally);
    if (wantsCargo || values.client.length === 0) await cargoReal(tally);
    if (wantsApt) await aptReal(tally);
    if (wantsMaven) await mavenReal(tally);
  }

  note(`${Math.round((performance.now() - started) / 1000)} s`);
  for (const name of tally.failures) note(`failed: ${name}`);
  process.stdout.write(`${tally.summary()}\n`);
  process.exitCode = tally.failed === 0 ? 0 : 1;
}
