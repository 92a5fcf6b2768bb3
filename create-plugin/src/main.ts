import { basename, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createPlugin, isTemplate, TEMPLATES } from './create-plugin.js';

const USAGE = `Usage: create-plugin <folder> [--template ${TEMPLATES.join('|')}]\n`;

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { template: { type: 'string', short: 't', default: 'protocol' }, help: { type: 'boolean', short: 'h' } },
  });
  const [folder, ...more] = positionals;
  const { template, help } = values;
  if (help === true) {
    process.stdout.write(USAGE);
  } else {
    if (folder === undefined || more.length > 0) throw new Error('expected the folder of the new plugin');
    if (!isTemplate(template)) throw new Error(`--template ${template}: expected ${TEMPLATES.join(', ')}`);
    await createPlugin({ folder: resolve(folder), name: basename(resolve(folder)), template });
    process.stdout.write(`Made ${folder}. Next:\n\n  cd ${folder}\n  npm install\n  npm test\n`);
  }
} catch (error) {
  process.stderr.write(`create-plugin: ${(error as Error).message}\n${USAGE}`);
  process.exitCode = 1;
}
