// Writes what is made from the configuration's schema: host/entrepot.schema.json, and the tables of docs/configuration.md.
// Runs on what is built: `npm run build && node scripts/generate-docs.mjs`.
import { readFileSync, writeFileSync } from 'node:fs';
import { generatedFiles } from '../host/dist/config/generated-files.js';
import { DISTRIBUTION } from '../deploy/npm/dist/index.js';

const plugins = [];
for (const name of new Set(Object.values(DISTRIBUTION.formats))) {
  const { default: exported } = await import(name);
  if (exported === undefined) console.warn(`${name} exports no plugin yet: its options are left out`);
  // A package may hold several.
  else plugins.push(...[exported].flat());
}

const page = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8');
for (const [path, content] of Object.entries(generatedFiles(plugins, page))) {
  writeFileSync(new URL(`../${path}`, import.meta.url), content);
  console.log(`wrote ${path}`);
}
