/**
 * Real clients for the fleet: npm, uv, pip, go and apt-get, as they are found on the PATH. Each build has an empty cache, as on a runner of its own. `lock` resolves as of a date,
 * `build` downloads what the lockfile says.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';

const TIMEOUT = 600_000;
const QUIET = ['--ignore-scripts', '--legacy-peer-deps', '--loglevel=error', '--no-progress'];
const STABLE = /^v\d+\.\d+\.\d+$/;

/** npm: `npm install --package-lock-only`, then `npm ci`. */
export function npmClient(base) {
  const npm = async (folder, args) => {
    const home = join(folder, 'home');
    await remade(home);
    const settings = [`registry=${base}/npm/`, `cache=${join(home, 'cache')}`, 'fund=false', 'audit=false'];
    await writeFile(join(home, 'npmrc'), [...settings, 'update-notifier=false', ''].join('\n'));
    // The machine's own settings must not be read.
    const own = { npm_config_userconfig: join(home, 'npmrc'), npm_config_globalconfig: join(home, 'global-npmrc') };
    const env = { ...process.env, HOME: home, ...own };
    succeeded(await runCommand(['npm', ...args, ...QUIET], { cwd: folder, env, timeout: TIMEOUT }));
    await rm(home, { recursive: true, force: true });
  };
  return {
    lock: async (folder, { name, packages }, { date }) => {
      const dependencies = Object.fromEntries(packages.map((one) => [one, '*']));
      await writeFile(join(folder, 'package.json'), JSON.stringify({ name, version: '1.0.0', dependencies }));
      await rm(join(folder, 'package-lock.json'), { force: true });
      await npm(folder, ['install', '--package-lock-only', `--before=${date.toISOString()}`]);
    },
    build: async (folder) => {
      await npm(folder, ['ci']);
      await rm(join(folder, 'node_modules'), { recursive: true, force: true });
    },
  };
}

/** Python: `uv pip compile`, then `uv pip install` or `pip download`. */
export function pythonClient(base) {
  const index = `${base}/pypi/simple/`;
  const uv = async (folder, args) => {
    const cache = join(folder, 'uv-cache');
    await rm(cache, { recursive: true, force: true });
    const env = { ...process.env, HOME: folder, UV_DEFAULT_INDEX: index, UV_CACHE_DIR: cache, UV_NO_CONFIG: '1' };
    succeeded(await runCommand(['uv', ...args], { cwd: folder, env, timeout: TIMEOUT }));
  };
  return {
    lock: async (folder, { packages }, { date }) => {
      await writeFile(join(folder, 'requirements.in'), packages.join('\n'));
      const as = ['--exclude-newer', date.toISOString(), '--python-version', '3.11', '--only-binary', ':all:'];
      await uv(folder, ['pip', 'compile', '--quiet', '--upgrade', ...as, '-o', 'requirements.txt', 'requirements.in']);
    },
    build: async (folder, { client }) => {
      const target = join(folder, 'target');
      if (client === 'uv') {
        await uv(folder, ['pip', 'install', '--no-deps', '--target', target, '-r', 'requirements.txt']);
      } else {
        const pip = [
          'python3',
          '-m',
          'pip',
          'download',
          '--quiet',
          '--no-deps',
          '--only-binary=:all:',
          '--no-cache-dir',
        ];
        const env = {
          ...process.env,
          HOME: folder,
          PIP_CONFIG_FILE: '/dev/null',
          PIP_FIND_LINKS: '',
          PIP_INDEX_URL: index,
        };
        const command = [...pip, '-d', target, '-r', 'requirements.txt'];
        succeeded(await runCommand(command, { cwd: folder, env, timeout: TIMEOUT }));
      }
      await rm(target, { recursive: true, force: true });
    },
  };
}

/** Go: `go get` of releases some way behind the newest, then `go mod download`. */
export function goClient(base) {
  const go = async (folder, args) => {
    const home = join(folder, 'home');
    const own = { HOME: home, GOPATH: join(home, 'gopath'), GOENV: 'off', GOFLAGS: '-modcacherw -mod=mod' };
    const env = { ...process.env, ...own, GOPROXY: `${base}/go`, GOTOOLCHAIN: 'local' };
    return succeeded(await runCommand(['go', ...args], { cwd: folder, env, timeout: TIMEOUT })).stdout;
  };
  return {
    lock: async (folder, { name, packages }, { age }) => {
      await remade(join(folder, 'home'));
      await writeFile(join(folder, 'go.mod'), `module ${name}\n\ngo 1.26\n`);
      await rm(join(folder, 'go.sum'), { force: true });
      const wanted = [];
      for (const one of packages) wanted.push(`${one}@${await releaseOf(go, folder, one, age)}`);
      await go(folder, ['get', ...wanted]);
    },
    build: async (folder) => {
      await remade(join(folder, 'home'));
      await go(folder, ['mod', 'download']);
    },
  };
}

/** The release `age` releases before the newest of the module that has the package. */
async function releaseOf(go, folder, path, age) {
  for (let module = path; module.includes('/'); module = module.slice(0, module.lastIndexOf('/'))) {
    const listed = await go(folder, ['list', '-m', '-versions', module]).catch(() => '');
    const stable = listed
      .trim()
      .split(' ')
      .filter((version) => STABLE.test(version));
    if (stable.length > 0) return stable.at(-1 - Math.min(age, stable.length - 1));
  }
  return 'latest';
}

/** apt: `apt-get update`, then the archives of an image that has nothing yet. */
export function debianClient(base, suite) {
  return {
    lock: async () => {},
    build: async (folder, { packages }) => {
      const root = join(folder, 'root');
      await remade(root);
      for (const one of [
        'etc/apt/apt.conf.d',
        'etc/apt/preferences.d',
        'var/lib/dpkg',
        'var/cache/apt/archives/partial',
        'var/lib/apt/lists/partial',
      ]) {
        await mkdir(join(root, one), { recursive: true });
      }
      await writeFile(join(root, 'var/lib/dpkg/status'), '');
      await writeFile(join(root, 'etc/apt/sources.list'), `deb [trusted=yes] ${base}/debian ${suite} main\n`);
      const options = [
        `Dir=${root}`,
        `Dir::State::status=${root}/var/lib/dpkg/status`,
        'APT::Sandbox::User=root',
        'APT::Install-Recommends=false',
        'Acquire::Languages=none',
      ];
      const apt = ['apt-get', '-q', '-y', ...options.flatMap((option) => ['-o', option])];
      const place = { cwd: folder, env: process.env, timeout: TIMEOUT };
      succeeded(await runCommand([...apt, 'update'], place));
      succeeded(await runCommand([...apt, 'install', '--download-only', ...packages], place));
      await rm(root, { recursive: true, force: true });
    },
  };
}

function succeeded(result) {
  if (result.code !== 0) throw new Error(outputOf(result));
  return result;
}

async function remade(folder) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
}
