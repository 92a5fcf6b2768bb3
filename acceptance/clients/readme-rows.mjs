import { readFile } from 'node:fs/promises';

/**
 * One client's row in the README: commands, or a file of settings.
 * @typedef {object} ReadmeRow
 * @property {readonly (readonly string[])[]} commands as words
 * @property {{ name: string, text: string } | undefined} file
 */

/**
 * The rows of the table "Point a client at it", one entry for each client that a row names.
 * @param {string} file the README
 * @param {{ port: number, repositories: Readonly<Record<string, string>> }} place the server's port, and the names that stand
 *   for `<oci repository>` and the like, by type
 * @returns {Promise<Map<string, ReadmeRow>>}
 */
export async function readmeRows(file, { port, repositories }) {
  const text = await readFile(file, 'utf8');
  const table = /^\| client \| settings \|\n\|---\|---\|\n(?<rows>(?:\|.*\n)+)/m.exec(text)?.groups?.rows;
  if (table === undefined) throw new Error(`${file}: a table of clients and their settings was expected`);
  /** @type {Map<string, ReadmeRow>} */
  const rows = new Map();
  for (const line of table.trimEnd().split('\n')) {
    const [, names = '', settings = ''] = line.split('|');
    const filled = settings
      .replaceAll(':8080', `:${port}`)
      .replaceAll(/<(\w+) repository>/g, (_, type) => repositories[type] ?? `no-${type}-repository`);
    const codes = [...filled.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
    for (const name of names.split(',')) rows.set(name.trim(), parseRow(codes));
  }
  return rows;
}

/** @param {readonly string[]} codes @returns {ReadmeRow} */
function parseRow(codes) {
  const [first = '', ...rest] = codes;
  if (first.endsWith('.toml')) return { commands: [], file: { name: first, text: `${rest.join('\n')}\n` } };
  return { commands: codes.map((code) => code.split(' ')), file: undefined };
}
