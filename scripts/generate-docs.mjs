// Writes the files that are made from the configuration's schema: host/entrepot.schema.json and docs/configuration.md.
// Runs on what is built: `npm run build && node scripts/generate-docs.mjs`.
import { writeFileSync } from 'node:fs';
import { generatedFiles } from '../host/dist/config/generated-files.js';
import { BUNDLED_PLUGINS } from '../host/dist/config/bundled.js';

const plugins = [];
for (const name of BUNDLED_PLUGINS) {
  const { default: plugin } = await import(name);
  if (plugin === undefined) console.warn(`${name} exports no plugin yet: its options are left out`);
  else plugins.push(plugin);
}

for (const [path, content] of Object.entries(generatedFiles(plugins))) {
  writeFileSync(new URL(`../${path}`, import.meta.url), content);
  console.log(`wrote ${path}`);
}
