import { runCounted, runShown } from './run-counted.mjs';
import { setUp } from './setup.mjs';

setUp();

/** Everything that must hold before a change is merged; CI runs the same. */
const STEPS = [
  { name: 'lint', program: 'node_modules/oxlint/bin/oxlint', args: ['--deny-warnings'] },
  { name: 'format', program: 'node_modules/prettier/bin/prettier.cjs', args: ['--check', '--log-level', 'warn', '.'] },
  { name: 'types', program: 'node_modules/typescript/bin/tsc', args: ['-b'] },
  { name: 'types of the tests', program: 'node_modules/typescript/bin/tsc', args: ['-p', 'tsconfig.tests.json'] },
  { name: 'types of the acceptance', program: 'node_modules/typescript/bin/tsc', args: ['-p', 'acceptance'] },
  { name: 'regular expressions', program: 'scripts/check-regular-expressions.mjs', args: [] },
  { name: 'packages', program: 'scripts/check-packages.mjs', args: [] },
];

/** @type {string[]} */
const lines = [];
let passed = 0;
let failed = 0;

for (const { name, program, args } of STEPS) {
  const started = performance.now();
  const { code } = await runShown(process.execPath, [program, ...args]);
  if (code === 0) passed += 1;
  else failed += 1;
  report(`${code === 0 ? 'ok' : 'not ok'} ${name} (${Math.round((performance.now() - started) / 1000)} s)`);
}

for (const [script = '', ...args] of [['test'], ['release', '--dry-run']]) {
  const started = performance.now();
  const counts = await runCounted(process.execPath, [`scripts/${script}.mjs`, ...args]);
  passed += counts.passed;
  failed += counts.failed;
  const verdict = counts.failed === 0 ? 'ok' : 'not ok';
  report(`${verdict} ${script} (${Math.round((performance.now() - started) / 1000)} s)`);
}

process.stdout.write(`\n${lines.join('\n')}\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;

/** @param {string} line */
function report(line) {
  lines.push(line);
  process.stdout.write(`${line}\n`);
}
