import { parseArgs } from 'node:util';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { provideTool, TOOLS } from '@entrepot/fixtures/tools';

/** @import { ToolName, ToolSource } from '@entrepot/fixtures/tools' */

const USAGE = `node acceptance/install-tools.mjs [--chart | --image | --linux | --all]: puts programs on this machine that the acceptance tests use

  (none)   what \`npm test\` uses: one client for images and one for charts, a registry, the conformance test of registries,
           servers of S3 and of Google Cloud Storage, what several servers share: PostgreSQL, PgBouncer, Redis, and what makes
           repositories of rpm and pacman, with their clients
  --chart  what \`npm run acceptance -- --chart\` uses, and nothing else
  --image  what \`npm run acceptance -- --image\` uses to build and run images, and nothing else
  --linux  what makes repositories of rpm and pacman, and their clients: dnf, zypper, pacman
  --all    also what \`npm run acceptance -- --client oci --client helm\` uses

Debian's packages are installed where this is Debian and the user is root; what comes as a Go module is built once into
the cache folder. What cannot be had is named, and is no error: the tests leave it out.
`;

/** @type {readonly ToolName[]} */
const SHORT = [
  'skopeo',
  'reprepro',
  'docker-registry',
  'openssl',
  'gpg',
  'nginx',
  'postgres',
  'pgbouncer',
  'helm-3',
  'conformance',
  'redis',
  'toxiproxy',
  'gofakes3',
  'versitygw',
  'fake-gcs-server',
  'azurite',
  'hadolint',
  'schemathesis',
  'shellcheck',
  'systemd-analyze',
  'compose-schema',
  'rpmbuild',
  'createrepo_c',
  'repo-add',
  'makepkg',
  'bsdtar',
  'dnf',
  'zypper',
  'pacman',
];

/**
 * For `npm run acceptance -- --chart`. The API server of Kubernetes, and its store, are of `--all`: they take as long to build as all the rest.
 * @type {readonly ToolName[]}
 */
const CHART = [
  'helm-3',
  'helm-4',
  'helm-unittest',
  'kubeconform',
  'kube-score',
  'promtool',
  'prometheus',
  'shellcheck',
];
/** @type {readonly ToolName[]} */
const LINUX = ['rpmbuild', 'createrepo_c', 'repo-add', 'makepkg', 'bsdtar', 'dnf', 'zypper', 'pacman'];
/** @type {readonly ToolName[]} */
const IMAGE = ['mmdebstrap', 'buildah', 'podman', 'runc', 'skopeo'];

const { values } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    chart: { type: 'boolean', default: false },
    image: { type: 'boolean', default: false },
    linux: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(USAGE);
} else {
  const everything = /** @type {ToolName[]} */ (Object.keys(TOOLS));
  const { all, chart, image, linux } = values;
  const names = all ? everything : chart ? CHART : image ? IMAGE : linux ? LINUX : SHORT;
  await installPackages(names);
  // One after the other: a build uses every core.
  for (const name of names) {
    const path = await provideTool(name);
    if (path !== undefined) process.stdout.write(`${name}: ${path}\n`);
  }
}

/** @param {readonly ToolName[]} names */
async function installPackages(names) {
  /** @type {Set<string>} */
  const wanted = new Set();
  for (const name of names) {
    /** @type {ToolSource} */
    const source = TOOLS[name];
    if (source.from === 'debian' && !(await isInstalled(source.package))) wanted.add(source.package);
  }
  if (wanted.size === 0 || process.getuid?.() !== 0) return;
  const flags = ['-qq', '-y', '--no-install-recommends'];
  for (const args of [
    ['update', '-qq'],
    ['install', ...flags, ...wanted],
  ]) {
    const result = await run(['apt-get', ...args]);
    if (result?.code === 0) continue;
    process.stdout.write(`# apt-get ${args[0]}: ${result === undefined ? 'not on this machine' : outputOf(result)}\n`);
    return;
  }
}

/** @param {string} name */
async function isInstalled(name) {
  const result = await run(['dpkg-query', '-W', '-f', '${db:Status-Status}', name]);
  return result?.stdout === 'installed';
}

/** @param {readonly string[]} command */
function run(command) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return runCommand(command, { cwd: '/', env, timeout: 300_000 }).catch(() => undefined);
}
