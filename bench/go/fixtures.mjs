import { goModule } from '@entrepot/fixtures/go-database';
import { seededBytes } from '../lib/fixtures.mjs';

/** Synthetic modules. Zips have bytes that do not get smaller; `go.mod` files have 0.2 to 20 KB. */
const KILOBYTE = 1000;
const VERSION = 'v1.0.0';
const FILLER = 5_000;

/** The number of runs for which there are modules that nobody has asked for yet. */
export const COLD_SETS = 3;
export const GRAPH_MODULES = 100;
export const MOD_FILES = 100;
export const LISTED_VERSIONS = 50;
export const LARGE_KILOBYTES = 70_000;

function three(number) {
  return String(number).padStart(3, '0');
}

export function graphModule(index) {
  return `graph.test/m${three(index)}`;
}

function module(database, path, version, kilobytes, requires = []) {
  const files = { 'content.bin': seededBytes(`${path}@${version}`, kilobytes * KILOBYTE) };
  return goModule({ path, version, files, requires, database });
}

/** Modules that the client downloads: 60 KB each, and every twentieth 3 MB. Some require others. */
function graph(database) {
  return Array.from({ length: GRAPH_MODULES }, (_, index) => {
    const others = [index + 1, index + 7, index + 31].filter((other) => other < GRAPH_MODULES);
    const requires = others.map((other) => `${graphModule(other)} ${VERSION}`);
    return module(database, graphModule(index), VERSION, index % 20 === 19 ? 3_000 : 60, requires);
  });
}

/** Modules of which only the `go.mod` is asked for. */
function modFiles(database, set) {
  return Array.from({ length: MOD_FILES }, (_, index) => {
    const lines = 2 + Math.round(400 * (index / MOD_FILES) ** 3);
    const requires = Array.from(
      { length: lines },
      (_unused, line) => `mods.test/dependency-${index}-${line} v1.${line}.0`,
    );
    return module(database, `mods.test/m${three(index)}`, `v1.${set}.0`, 60, requires);
  });
}

/** All modules, with their records in `database`. `small`: only what the client downloads. */
export function goModules(database, small) {
  database.fill(FILLER);
  const modules = graph(database);
  if (small) return modules;
  for (let set = 0; set < COLD_SETS; set++) {
    modules.push(...modFiles(database, set), module(database, 'herd.test/large', `v1.${set}.0`, LARGE_KILOBYTES));
  }
  for (let index = 0; index < LISTED_VERSIONS; index++)
    modules.push(module(database, 'lists.test/many', `v1.${index}.0`, 1));
  for (const kilobytes of [60, 3_000, LARGE_KILOBYTES])
    modules.push(module(database, `zips.test/m${kilobytes}`, VERSION, kilobytes));
  database.fill(FILLER);
  return modules;
}
