import { globSync, readFileSync } from 'node:fs';
import { parseSync } from 'vite';

/**
 * A source file as the measurements need it.
 * @typedef {object} Source
 * @property {string} path from the root of the repository, with forward slashes
 * @property {string} text
 * @property {readonly { start: number, end: number, value: string, type: 'Block' | 'Line' }[]} comments
 * @property {readonly string[]} imports the specifiers, types included, each once
 * @property {readonly { start: number, end: number }[]} importStatements imports, and exports from other modules
 */

/** The packages whose source is measured: folders with a `src`. */
export const PACKAGES = '{core,host,plugins/*}';

/**
 * Reads every source file of the packages. Tests are elsewhere, in `test` folders.
 * @param {string} root the folder of the repository
 * @returns {Source[]}
 */
export function readSources(root) {
  return globSync(`${PACKAGES}/src/**/*.ts`, { cwd: root })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !path.endsWith('.d.ts'))
    .sort()
    .map((path) => parseSource(path, readFileSync(`${root}/${path}`, 'utf8')));
}

/**
 * @param {string} path
 * @param {string} text
 * @returns {Source}
 */
export function parseSource(path, text) {
  const { comments, errors, module } = parseSync(path, text);
  if (errors.length > 0) throw new SyntaxError(`${path}: ${errors[0]?.message}`);
  const reExports = module.staticExports.filter(({ entries }) => entries.some(({ moduleRequest }) => moduleRequest));
  const specifiers = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...reExports.flatMap(({ entries }) => entries.map(({ moduleRequest }) => moduleRequest?.value)),
    // Between quotes, where it is a literal.
    ...module.dynamicImports.map(({ moduleRequest }) => text.slice(moduleRequest.start + 1, moduleRequest.end - 1)),
  ];
  const imports = [...new Set(specifiers)].filter((specifier) => specifier !== undefined);
  return { path, text, comments, imports, importStatements: [...module.staticImports, ...reExports] };
}

/**
 * The folder of the package that a path is in: `core`, `plugins/npm`.
 * @param {string} path
 */
export function packageOf(path) {
  return path.slice(0, path.indexOf('/src/'));
}
