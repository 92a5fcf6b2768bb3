import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PUBLISHED } from '../published.mjs';
import { run } from './run.mjs';

/** @import { Packed } from './pack.mjs' */

/**
 * The parts of a CycloneDX document that are looked at.
 * @typedef {{ 'bom-ref': string, name: string, type: string, hashes?: { alg: string, content: string }[] }} Component
 * @typedef {{ metadata: { component: Component }, components: Component[], dependencies: { ref: string, dependsOn: string[] }[] }} Bill
 */

/**
 * Makes the bill of materials of the distribution: everything that the lockfile installs for it, in CycloneDX.
 * The list of npm is of the whole repository, and without development it leaves packages out that are used by both.
 * @param {string} root
 * @param {readonly Packed[]} packed for the sums of what is ours
 * @returns {Promise<Bill>}
 */
export async function billOfMaterials(root, packed) {
  const command = ['npm', 'sbom', '--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'application'];
  /** @type {Bill} */
  const whole = JSON.parse((await run(root, command)).stdout);
  const wanted = await productionDependencies(root);
  const dependencies = new Map(
    whole.dependencies.map(({ ref, dependsOn }) => {
      const own = wanted.get(nameOf(ref));
      return [ref, { ref, dependsOn: dependsOn.filter((one) => own === undefined || own.has(nameOf(one))) }];
    }),
  );
  const sums = new Map(packed.map(({ name, version, sha512 }) => [`${name}@${version}`, sha512]));
  const distribution = [...sums.keys()].find((ref) => nameOf(ref) === 'entrepot') ?? '';
  const reached = new Set([distribution]);
  // What is added is visited too.
  for (const ref of reached) for (const one of dependencies.get(ref)?.dependsOn ?? []) reached.add(one);
  const components = whole.components
    .filter((one) => reached.has(one['bom-ref']))
    .map((one) => withSum(one, sums.get(one['bom-ref'])));
  const component = components.find((one) => one['bom-ref'] === distribution);
  if (component === undefined || components.length !== reached.size)
    throw new Error(`expected ${reached.size} components in the bill of materials, found ${components.length}`);
  return {
    ...whole,
    metadata: { ...whole.metadata, component: { ...component, type: 'application' } },
    components: components.filter((one) => one !== component),
    dependencies: [...reached].flatMap((ref) => dependencies.get(ref) ?? []),
  };
}

/** The dependencies that are installed with each package of ours. @param {string} root */
async function productionDependencies(root) {
  const entries = PUBLISHED.map(async (folder) => {
    const text = await readFile(join(root, folder, 'package.json'), 'utf8');
    const { name, dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = JSON.parse(text);
    const peers = Object.keys(peerDependencies).filter((peer) => peerDependenciesMeta[peer]?.optional !== true);
    return /** @type {const} */ ([name, new Set([...Object.keys(dependencies), ...peers])]);
  });
  return new Map(await Promise.all(entries));
}

/**
 * A component with the sum of its tarball, where it is ours: npm calls those by their folders, and knows no sum.
 * @param {Component} component
 * @param {string | undefined} sum
 * @returns {Component}
 */
function withSum(component, sum) {
  if (sum === undefined) return component;
  const hashes = [{ alg: 'SHA-512', content: sum }];
  return { ...component, name: nameOf(component['bom-ref']), hashes };
}

/** @param {string} ref such as `@entrepot/core@0.1.0` */
function nameOf(ref) {
  return ref.slice(0, ref.lastIndexOf('@'));
}
