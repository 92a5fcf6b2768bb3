import { spawnSync } from 'node:child_process';
import { PUBLISHED } from './published.mjs';
import { setUp } from './setup.mjs';

// What is published must be usable as it is published: exports that resolve, types that match, files that are in the
// package. `attw` looks at it as an ES module, which is all that it is.
setUp();

let failed = 0;

for (const folder of PUBLISHED) {
  const lint = run('node_modules/publint/src/cli.js', [folder, '--strict']);
  const types = run('node_modules/@arethetypeswrong/cli/dist/index.js', ['--pack', folder, '--profile', 'esm-only']);
  const ok = lint.status === 0 && types.status === 0;
  if (!ok) {
    failed += 1;
    process.stdout.write(`${lint.stdout}${lint.stderr}${types.stdout}${types.stderr}`);
  }
  process.stdout.write(`${ok ? 'ok' : 'not ok'} ${folder}\n`);
}
process.exitCode = failed === 0 ? 0 : 1;

/** @param {string} program @param {readonly string[]} args */
function run(program, args) {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
}
