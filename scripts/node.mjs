// Runs a script of this repository on a Node that it supports: `node scripts/node.mjs <file> [arguments]`. Where the
// machine's own Node is older, or `ENTREPOT_NODE` names another version, a Node comes as an npm package into a cache folder.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { handOver } from './hand-over.mjs';
import { registryOptions } from './registry.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * The Nodes that are fetched: `<platform>-<architecture>@<version>`, with the sum of the npm package `node-<platform>-<architecture>`.
 * The first one of a platform is the one that development runs on; the others are for `ENTREPOT_NODE`.
 * @type {Readonly<Record<string, string>>}
 */
const PACKAGES = {
  'linux-x64@24.22.3':
    'sha512-KHsob+Fv9YerATvYujMbiyJqnRCvLtrcr/eTNqRqiOSGp97EOiRP1yP47+knGgQ/xnc3XY8xzkW587dlZzNqRA==',
  'linux-x64@22.23.5':
    'sha512-3jhC+wcoWxKZxcRqF2sUSl0c9HEXFnur/nuIPx6O6CWKV0jOUWQm7Htw5SuXqqlMCEhi0cJqybFPEb5hhcBiMw==',
  'linux-x64@26.12.1':
    'sha512-jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A==',
  'linux-arm64@24.22.0':
    'sha512-xbI0deR0+gzJizE0IdT7x3ewSqtvWW7tx6QlJIBI6IszUY41yrPmOeS+b6WkA7DmSS8VKJRcMthWVwO1LbjamQ==',
  'win-x64@24.21.0': 'sha512-0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA==',
};

const [script, ...args] = process.argv.slice(2);
if (script === undefined) {
  process.stderr.write('usage: node scripts/node.mjs <file> [arguments]\n');
  process.exit(2);
}

const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const wanted = process.env['ENTREPOT_NODE'];

if (wanted === undefined ? isAtLeast(process.versions.node, engines.node) : process.versions.node === wanted) {
  process.argv.splice(1, 2, resolve(script));
  await import(pathToFileURL(resolve(script)).href);
} else {
  runUnder(provideNode(), [resolve(script), ...args]);
}

/**
 * @param {string} version such as `20.20.2`
 * @param {string} range such as `>=22.19`
 */
function isAtLeast(version, range) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor = 0, leastMinor = 0] = range.replace('>=', '').split('.').map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

/** @returns {string} the path of the program, which is in the cache folder after this */
function provideNode() {
  const platform = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const name = Object.keys(PACKAGES).find((key) => key.startsWith(`${platform}@${wanted ?? ''}`));
  const integrity = PACKAGES[name ?? ''];
  if (name === undefined || integrity === undefined) {
    return fail(
      `Entrepot needs Node ${engines.node}, found ${process.versions.node}. No ${wanted ?? 'Node'} is known for ${platform}: install Node 24 and try again.`,
    );
  }
  const version = name.slice(platform.length + 1);
  const cache = join(cacheFolder(), 'entrepot', `node-${version}-${platform}`);
  const program = join(cache, process.platform === 'win32' ? 'bin/node.exe' : 'bin/node');
  if (!existsSync(program)) {
    process.stderr.write(
      `Node ${process.versions.node} is not ${wanted ?? engines.node}: fetching Node ${version} into ${cache}\n`,
    );
    fetchPackage(`node-${platform}`, version, integrity, cache);
  }
  return program;
}

function cacheFolder() {
  const windows = process.platform === 'win32' ? process.env['LOCALAPPDATA'] : undefined;
  return process.env['XDG_CACHE_HOME'] || windows || join(homedir(), '.cache');
}

/**
 * Installs one package with the machine's npm, which checks its sum, and moves it to `folder` once it is whole.
 * @param {string} name
 * @param {string} version
 * @param {string} integrity
 * @param {string} folder
 */
function fetchPackage(name, version, integrity, folder) {
  mkdirSync(dirname(folder), { recursive: true });
  const scratch = mkdtempSync(`${folder}-`);
  try {
    const dependencies = { [name]: version };
    const packages = { '': { dependencies }, [`node_modules/${name}`]: { version, integrity } };
    writeFileSync(join(scratch, 'package.json'), JSON.stringify({ private: true, dependencies }));
    writeFileSync(join(scratch, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, packages }));
    const install = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...registryOptions()];
    const shell = process.platform === 'win32';
    const { status, error } = spawnSync('npm', install, {
      cwd: scratch,
      env: outerEnvironment(),
      shell,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (status !== 0)
      fail(`npm could not install ${name}@${version}${error === undefined ? '' : `: ${error.message}`}`);
    // Another process may have been faster: its folder is as good.
    if (!existsSync(folder)) renameSync(join(scratch, 'node_modules', name), folder);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The environment without what an outer npm says of its own project. */
function outerEnvironment() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(?!config_(registry|userconfig))/i.test(name)),
  );
}

/**
 * Goes on as another Node. It is first on the path of whatever it starts.
 * @param {string} program
 * @param {readonly string[]} command
 */
function runUnder(program, command) {
  handOver(program, command, { ...process.env, PATH: `${dirname(program)}${delimiter}${process.env['PATH'] ?? ''}` });
}

/** @param {string} text @returns {never} */
function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
