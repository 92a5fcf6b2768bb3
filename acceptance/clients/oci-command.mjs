import { strict as assert } from 'node:assert';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { provideTool } from '@entrepot/fixtures/tools';

/** @import { fixtureImages, ImageSet } from '@entrepot/fixtures/oci-images' */
/** @import { ToolName } from '@entrepot/fixtures/tools' */

/**
 * A place of images, as clients name them: `<host>/<prefix><name>`.
 * @typedef {object} ImagePlace
 * @property {string} host with its port
 * @property {string} prefix empty, or the repository and a slash
 * @property {{ username: string, password: string } | undefined} [credentials]
 * @property {string} [namespace] what `?ns=` names this place by, for containerd
 */

/**
 * @typedef {object} OciSetting
 * @property {string} home an empty folder: everything that the client knows and keeps
 * @property {ImagePlace} from where the fixtures are pulled from
 * @property {ImagePlace} to where images are pushed to
 * @property {ReturnType<typeof fixtureImages>} images
 */

/**
 * A real, unmodified client. `read` and `write` throw when what they see is not what was pushed.
 * @typedef {object} OciClient
 * @property {ToolName} name
 * @property {readonly ToolName[]} [also] what it does not run without
 * @property {(setting: OciSetting) => Promise<void>} read pulls, lists, inspects and copies from `from`
 * @property {(setting: OciSetting) => Promise<void>} write pushes to `to`, and pulls it from there
 */

const TIMEOUT = 120_000;

/** @param {ImagePlace} place @param {string} name @param {string} [reference] */
export function at({ host, prefix }, name, reference = '1.0') {
  return `${host}/${prefix}${name}${reference.includes(':') ? '@' : ':'}${reference}`;
}

/**
 * Runs a program with nothing but what is in `home`, and gives its standard output.
 * @param {OciSetting} setting
 * @param {ToolName} name
 * @param {readonly string[]} args
 */
export async function run({ home, from, to }, name, args) {
  const program = await provideTool(name);
  if (program === undefined) throw new Error(`${name} was expected on this machine`);
  await mkdir(join(home, '.docker'), { recursive: true });
  const auths = [from, to].map(({ host, credentials }) => [
    host,
    credentials && { auth: Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64') },
  ]);
  const known = Object.fromEntries(auths.filter(([, auth]) => auth !== undefined));
  await writeFile(join(home, '.docker/config.json'), JSON.stringify({ auths: known }));
  const env = {
    PATH: [dirname(program), process.env.PATH ?? '', '/usr/sbin', '/sbin'].join(delimiter),
    HOME: home,
    TMPDIR: home,
    XDG_RUNTIME_DIR: home,
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_DATA_HOME: join(home, 'share'),
    // A client that would go past the registry under test reaches a closed port.
    HTTPS_PROXY: 'http://127.0.0.1:9',
    https_proxy: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
  };
  const result = await runCommand([program, ...args], { cwd: home, env, timeout: TIMEOUT });
  assert.equal(result.code, 0, `${name} ${args.join(' ')}: ${outputOf(result)}`);
  return result.stdout;
}

/** @param {OciSetting} setting @param {ToolName} name @param {readonly string[]} args */
export async function refused(setting, name, args) {
  await assert.rejects(run(setting, name, args), /exit 1|exit 125/);
}

/** @param {string} file */
export async function readJson(file) {
  return JSON.parse(await readFile(file, 'utf8'));
}

/** The config that a set's image for `architecture` has; its digest is what Docker calls the ID. @param {ImageSet} set @param {string} architecture @param {string} seed */
export function imageId(set, architecture, seed) {
  for (const [digest, bytes] of set.blobs) {
    if (bytes[0] !== 0x7b) continue;
    const config = JSON.parse(bytes.toString());
    if (config.architecture === architecture && config.config?.Labels?.seed === seed) return digest.split(':')[1];
  }
  throw new Error(`${set.name} has no image for ${architecture}`);
}
