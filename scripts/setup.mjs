import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { copyTemplates } from './copy-templates.mjs';
import { registryOptions } from './registry.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * Makes a fresh clone ready: installs the dependencies and builds. Does nothing, and says nothing, when that is done.
 * Ends the process when a step fails.
 */
export function setUp() {
  if (!isInstalled()) {
    const install = ['ci', '--include=dev', '--no-audit', '--no-fund', ...registryOptions()];
    step('installing dependencies', 'npm', install);
  }
  const compiler = 'node_modules/typescript/bin/tsc';
  step(existsSync(`${ROOT}deploy/npm/dist/index.js`) ? undefined : 'building', process.execPath, [compiler, '-b']);
  copyTemplates();
}

/**
 * Whether everything of `package-lock.json` is in `node_modules`, in the same version. What npm left out on purpose
 * (binaries for other platforms) is marked optional. Times of files say nothing: npm writes both lockfiles at once.
 */
function isInstalled() {
  const hidden = `${ROOT}node_modules/.package-lock.json`;
  if (!existsSync(hidden)) return false;
  const wanted = JSON.parse(readFileSync(`${ROOT}package-lock.json`, 'utf8')).packages;
  const installed = JSON.parse(readFileSync(hidden, 'utf8')).packages;
  for (const [path, { version, optional, devOptional, peer }] of Object.entries(wanted)) {
    if (path === '' || optional || devOptional || peer) continue;
    if (installed[path] === undefined || installed[path].version !== version) return false;
  }
  return true;
}

/** @param {string | undefined} title @param {string} command @param {readonly string[]} args */
function step(title, command, args) {
  if (title !== undefined) process.stderr.write(`${title}…\n`);
  // Standard output belongs to the program that needed the set-up.
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (error === undefined && status === 0) return;
  process.stderr.write(`${[command, ...args].join(' ')}: failed${error === undefined ? '' : `: ${error.message}`}\n`);
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setUp();
