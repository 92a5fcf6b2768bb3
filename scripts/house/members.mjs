import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { API, SymbolFlags } from 'typescript/unstable/sync';

/** The modules whose exports a plugin author meets, as far as they exist. */
const ENTRIES = ['core/src/index.ts', 'core/src/plugin/index.ts'];

/** Measured unless others are named. Those that are not exported are passed over. */
export const INTERFACES = [
  'ArtifactResource',
  'DocumentResource',
  'Protocol',
  'ProtocolPlugin',
  'Resource',
  'ArtifactClass',
  'DocumentClass',
  'ProtocolDeclaration',
  'ProtocolInstance',
  'ProtocolSide',
];

/**
 * An interface with its members, inherited ones included.
 * @typedef {object} Members
 * @property {string} name
 * @property {string} entry the module that exports it
 * @property {number} members
 * @property {number} optional
 * @property {Record<string, string>} single the members that the source of one bundled plugin alone uses, with that plugin
 * @property {string[]} unused the members that no bundled plugin uses
 */

/**
 * Asks the type checker for the members of exported interfaces, and for who uses them. A member that an interface inherits
 * is used wherever another interface inherits it from the same place.
 * @param {string} root the folder of the repository
 * @param {readonly string[]} names
 * @returns {Members[]}
 */
export function measureMembers(root, names = INTERFACES) {
  const api = new API({ cwd: root });
  try {
    // The one program that has the sources of all packages.
    const config = join(root, 'tsconfig.tests.json');
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config);
    if (project === undefined) throw new Error(`${config}: expected the compiler to open it, it did not`);
    const { checker, program } = project;
    return ENTRIES.filter((entry) => existsSync(join(root, entry))).flatMap((entry) => {
      const file = program.getSourceFile(join(root, entry));
      const module = file && checker.getSymbolAtLocation(file);
      if (module === undefined) return [];
      return checker
        .getExportsOfModule(module)
        .map((symbol) => ((symbol.flags & SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)))
        .filter((symbol) => names.includes(symbol.name) && (symbol.flags & SymbolFlags.Interface) !== 0)
        .sort((one, other) => names.indexOf(one.name) - names.indexOf(other.name))
        .map((symbol) => {
          const properties = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol));
          const users = properties.map((property) => ({ name: property.name, plugins: pluginsUsing(property) }));
          return {
            name: symbol.name,
            entry,
            members: properties.length,
            optional: properties.filter(({ flags }) => (flags & SymbolFlags.Optional) !== 0).length,
            single: Object.fromEntries(
              users.filter(({ plugins }) => plugins.length === 1).map(({ name, plugins }) => [name, plugins[0] ?? '']),
            ),
            unused: users.filter(({ plugins }) => plugins.length === 0).map(({ name }) => name),
          };
        });
    });

    /** @param {import('typescript/unstable/sync').Symbol} property */
    function pluginsUsing(property) {
      const places = property.declarations.flatMap((handle) => {
        const declaration = /** @type {any} */ (handle.resolve(project));
        if (declaration?.name === undefined) return [];
        const found = checker.getReferencedSymbolsForNode(declaration.name, declaration.name.end);
        return found.flatMap(({ references }) => references.map(({ path }) => path));
      });
      const plugins = places.map((path) => /\/plugins\/([^/]+)\/src\//.exec(path)?.[1]);
      return [...new Set(plugins.filter((plugin) => plugin !== undefined))].sort();
    }
  } finally {
    api.close();
  }
}
