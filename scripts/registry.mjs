import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { devNull } from 'node:os';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Database that remembers the clients' settings before they were pointed at this server. */
const REMEMBERED = process.env['ENTREPOT_METADATA_PATH'] ?? `${ROOT}data/entrepot.db`;
/** Ends with 0 when something listens at the host and port of its arguments. */
const KNOCK = `
const socket = require('node:net').connect({ host: process.argv[1], port: Number(process.argv[2]) });
socket.setTimeout(2000, () => process.exit(1)).on('connect', () => process.exit(0)).on('error', () => process.exit(1));
`;

/**
 * The npm options with which packages can be installed now. Whoever has pointed npm at a server of this clone, which is not
 * running yet, would wait for it in vain: then packages come from where npm looked before, or looks without settings.
 * @returns {readonly string[]}
 */
export function registryOptions() {
  const registry = ask(process.env);
  if (registry === undefined || !isDeadEnd(registry)) return [];
  const elsewhere = rememberedRegistry() ?? ask(withoutSettings());
  if (elsewhere === undefined || isDeadEnd(elsewhere)) return [];
  process.stderr.write('npm is pointed at this machine, where nothing listens: installing from elsewhere\n');
  return ['--registry', elsewhere];
}

/** @param {NodeJS.ProcessEnv} env */
function ask(env) {
  const shell = process.platform === 'win32';
  const { stdout } = spawnSync('npm', ['config', 'get', 'registry'], { env, encoding: 'utf8', shell });
  const registry = stdout?.trim();
  return registry !== undefined && URL.canParse(registry) ? registry : undefined;
}

/** The environment with none of the files and variables of this user. */
function withoutSettings() {
  const env = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  return { ...Object.fromEntries(env), npm_config_userconfig: devNull };
}

/** @param {string} registry */
function isDeadEnd(registry) {
  const { hostname, port, protocol } = new URL(registry);
  if (!/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return false;
  const at = port === '' ? (protocol === 'https:' ? '443' : '80') : port;
  const host = hostname.replace(/^\[|\]$/g, '');
  return spawnSync(process.execPath, ['-e', KNOCK, host, at]).status !== 0;
}

function rememberedRegistry() {
  const file = REMEMBERED.replace(/[^/\\]*$/, 'found-upstreams.json');
  try {
    /** @type {readonly { url: string, scope?: string }[]} */
    const found = JSON.parse(readFileSync(file, 'utf8')).found.npm;
    return found.find(({ scope }) => scope === undefined)?.url;
  } catch {
    return undefined;
  }
}
