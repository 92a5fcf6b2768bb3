import { cpSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('../templates', import.meta.url));
const TARGET = fileURLToPath(new URL('../create-plugin/templates', import.meta.url));

/**
 * Copies the templates into the package that makes plugins of them. npm packs no file of the name `.gitignore`, and a `package.json`
 * within a package is one of its own to some tools.
 */
export function copyTemplates() {
  rmSync(TARGET, { recursive: true, force: true });
  cpSync(SOURCE, TARGET, { recursive: true, filter: (path) => !/[\\/](?:node_modules|dist)$/.test(path) });
  for (const template of readdirSync(TARGET)) {
    for (const [name, packed] of [
      ['.gitignore', '_gitignore'],
      ['package.json', '_package.json'],
    ])
      renameSync(`${TARGET}/${template}/${name}`, `${TARGET}/${template}/${packed}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) copyTemplates();
