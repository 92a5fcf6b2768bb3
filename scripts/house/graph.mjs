import { posix } from 'node:path';

/** @import { Source } from './sources.mjs' */

/**
 * Imports: each file with the files that it imports.
 * @typedef {ReadonlyMap<string, ReadonlySet<string>>} Graph
 */

/**
 * The imports within one folder, between its files and those of its folders. Types count: they couple, too.
 * @param {readonly Source[]} sources
 * @param {string} folder such as `core/src/engine`
 * @returns {Graph}
 */
export function importGraph(sources, folder) {
  const inside = sources.filter(({ path }) => path.startsWith(`${folder}/`));
  const paths = new Set(inside.map(({ path }) => path));
  return new Map(
    inside.map(({ path, imports }) => [
      path,
      new Set(
        imports
          .filter((specifier) => specifier.startsWith('.'))
          .map((specifier) => posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts'))
          .filter((target) => paths.has(target) && target !== path),
      ),
    ]),
  );
}

/**
 * The strongly connected components (Tarjan), those that import nothing first.
 * @param {Graph} graph
 * @returns {string[][]}
 */
export function components(graph) {
  /** @type {Map<string, { index: number, low: number, open: boolean }>} */
  const seen = new Map();
  /** @type {string[]} */
  const stack = [];
  /** @type {string[][]} */
  const found = [];
  for (const node of graph.keys()) if (!seen.has(node)) visit(node);
  return found;

  /** @param {string} node */
  function visit(node) {
    const own = { index: seen.size, low: seen.size, open: true };
    seen.set(node, own);
    stack.push(node);
    for (const target of graph.get(node) ?? []) {
      const other = seen.get(target);
      if (other === undefined) own.low = Math.min(own.low, visit(target));
      else if (other.open) own.low = Math.min(own.low, other.index);
    }
    if (own.low === own.index) {
      const component = stack.splice(stack.indexOf(node));
      for (const member of component) /** @type {{ open: boolean }} */ (seen.get(member)).open = false;
      found.push(component);
    }
    return own.low;
  }
}

/**
 * The components of more than one file.
 * @param {Graph} graph
 */
export function circles(graph) {
  return components(graph).filter(({ length }) => length > 1);
}

/**
 * The number of levels: files that import nothing are on the first one, a circle is on one level.
 * @param {Graph} graph
 */
export function levels(graph) {
  /** @type {Map<string, number>} */
  const levelOf = new Map();
  for (const component of components(graph)) {
    const below = component
      .flatMap((node) => [...(graph.get(node) ?? [])])
      .filter((target) => !component.includes(target))
      .map((target) => levelOf.get(target) ?? 0);
    for (const node of component) levelOf.set(node, Math.max(0, ...below) + 1);
  }
  return Math.max(0, ...levelOf.values());
}

/**
 * The same graph with the folders directly below `folder` for nodes. Files directly in `folder` are left out.
 * @param {Graph} graph
 * @param {string} folder
 * @returns {{ folders: Graph, arrows: number }} `arrows`: imports from a file in one folder to a file in another
 */
export function folderGraph(graph, folder) {
  /** @type {Map<string, Set<string>>} */
  const folders = new Map();
  let arrows = 0;
  for (const [path, targets] of graph) {
    const from = folderOf(path, folder);
    if (from === undefined) continue;
    const own = folders.get(from) ?? new Set();
    folders.set(from, own);
    for (const target of targets) {
      const to = folderOf(target, folder);
      if (to === undefined || to === from) continue;
      own.add(to);
      arrows += 1;
    }
  }
  return { folders, arrows };
}

/**
 * @param {string} path
 * @param {string} folder
 */
function folderOf(path, folder) {
  const [first, ...more] = path.slice(folder.length + 1).split('/');
  return more.length > 0 ? first : undefined;
}

/** @param {Graph} graph */
function arrowsOf(graph) {
  return [...graph.values()].reduce((sum, targets) => sum + targets.size, 0);
}

/**
 * Measures the imports within each of these folders.
 * @param {readonly Source[]} sources
 * @param {readonly string[]} folders
 */
export function measureGraphs(sources, folders) {
  return folders.map((folder) => {
    const graph = importGraph(sources, folder);
    const rooms = folderGraph(graph, folder);
    return {
      folder,
      files: graph.size,
      siblings: [...graph.keys()].filter((path) => folderOf(path, folder) === undefined).length,
      levels: levels(graph),
      arrows: arrowsOf(graph),
      circles: circles(graph).map((circle) => circle.map((path) => path.slice(folder.length + 1)).sort()),
      folders: rooms.folders.size,
      folderArrows: rooms.arrows,
      folderPairs: arrowsOf(rooms.folders),
      folderCircles: circles(rooms.folders).map((circle) => circle.toSorted()),
    };
  });
}
