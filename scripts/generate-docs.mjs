// Writes what is made from the configuration's schema: host/entrepot.schema.json, and the tables of docs/configuration.md;
// and from the operations of a server: host/openapi.json, and the tables of docs/api.md.
// Runs on what is built: `npm run build && node scripts/generate-docs.mjs`.
import { readFileSync, writeFileSync } from 'node:fs';
import { apiFiles } from '../host/dist/api-files.js';
import { generatedFiles } from '../host/dist/config/generated-files.js';
import { DISTRIBUTION } from '../deploy/npm/dist/index.js';

const plugins = [];
for (const name of new Set(Object.values(DISTRIBUTION.formats))) {
  const { default: exported } = await import(name);
  if (exported === undefined) console.warn(`${name} exports no plugin yet: its options are left out`);
  // A package may hold several.
  else plugins.push(...[exported].flat());
}

const read = (/** @type {string} */ path) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const files = {
  ...generatedFiles(plugins, read('docs/configuration.md')),
  ...apiFiles(read('docs/api.md')),
};
for (const [path, content] of Object.entries(files)) {
  writeFileSync(new URL(`../${path}`, import.meta.url), content);
  console.log(`wrote ${path}`);
}
