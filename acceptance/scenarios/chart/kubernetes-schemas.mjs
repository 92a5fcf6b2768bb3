import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CACHE } from '@entrepot/fixtures/tools';
import { providePythonPackage } from '../../clients/python.mjs';

/** The oldest that the chart is for, one in the middle, and the newest of the package. */
export const VERSIONS = ['1.25.0', '1.31.0', '1.37.0'];
const PACKAGE = { name: 'kubernetes-validate', version: '1.37.0' };
/** The kinds that the chart makes. Custom resources are of others, and have no schema here. */
const KINDS = [
  'configmap-v1',
  'deployment-apps-v1',
  'horizontalpodautoscaler-autoscaling-v2',
  'ingress-networking-v1',
  'networkpolicy-networking-v1',
  'persistentvolumeclaim-v1',
  'poddisruptionbudget-policy-v1',
  'secret-v1',
  'service-v1',
  'serviceaccount-v1',
  'statefulset-apps-v1',
];
/** From a kind, or from within the definitions. */
const REFERENCE = /^(?:\/api\/_definitions\.json)?#\/\$defs\/(.+)$/;

/** A JSON schema, as far as it is looked at. @typedef {{ [key: string]: any }} Schema */

/**
 * Makes schemas as kubeconform reads them, one whole file for each kind, out of those of a Python package, once.
 * @returns {Promise<string>} the folder with one folder for each version
 */
export async function kubernetesSchemas() {
  const folder = join(CACHE, `kubernetes-schemas@${PACKAGE.version}`);
  if (existsSync(folder)) return folder;
  const modules = await providePythonPackage(PACKAGE.name, PACKAGE.version);
  const draft = `${folder}.${process.pid}`;
  try {
    for (const version of VERSIONS) {
      const from = join(modules, 'kubernetes_validate', 'kubernetes-json-schema', `v${version}-local-strict`);
      const { $defs: definitions } = JSON.parse(await readFile(join(from, '_definitions.json'), 'utf8'));
      const to = join(draft, `v${version}-standalone-strict`);
      await mkdir(to, { recursive: true });
      for (const kind of KINDS) {
        const schema = JSON.parse(await readFile(join(from, `${kind}.json`), 'utf8'));
        await writeFile(join(to, `${kind}.json`), JSON.stringify(flattened(schema, definitions)));
      }
    }
    await rename(draft, folder).catch((error) => {
      // Another run was first.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}

/** Returns a schema that refers to nothing outside of it. @param {Schema} schema @param {Record<string, Schema>} definitions */
function flattened(schema, definitions) {
  /** @type {Record<string, Schema>} */
  const used = {};
  const root = localized(schema, (name) => {
    const waiting = [name];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (used[next] !== undefined) continue;
      const found = definitions[next];
      if (found === undefined) throw new Error(`a definition of ${next} was expected`);
      used[next] = localized(found, (more) => void waiting.push(more));
    }
  });
  return { ...root, $schema: 'http://json-schema.org/draft-07/schema#', definitions: used };
}

/** A copy whose references stay inside, and whose descriptions are left out. @param {Schema} schema @param {(name: string) => void} onReference @returns {Schema} */
function localized(schema, onReference) {
  /** @type {Schema} */
  const copy = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === '$id' || key === '$schema' || (key === 'description' && typeof value === 'string')) continue;
    if (key === '$ref' && typeof value === 'string') {
      const [, name] = REFERENCE.exec(value) ?? [];
      if (name === undefined) throw new Error(`a reference to a definition was expected, found ${value}`);
      onReference(name);
      copy[key] = `#/definitions/${name}`;
    } else if (Array.isArray(value))
      copy[key] = value.map((item) => (isObject(item) ? localized(item, onReference) : item));
    else copy[key] = isObject(value) ? localized(value, onReference) : value;
  }
  return copy;
}

/** @param {unknown} value @returns {value is Schema} */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
