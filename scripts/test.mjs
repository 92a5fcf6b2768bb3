import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runCounted, runShown } from './run-counted.mjs';
import { setUp } from './setup.mjs';

/** @import { Counts } from './run-counted.mjs' */

// `--unit` leaves out the clients, what measures our own work for minutes, and what plugins compute: CI runs the rest, which is what
// rests on Node, on each Node that is supported.
const LONG = ['**/hostile-strings.test.ts', '**/large-lists.test.ts'];
const ON_EACH_NODE = ['core/', 'host/'];
// `--shard 1/2` runs every second file of them, so that two Nodes share the time of one; the nightly run leaves it out.
const { values } = parseArgs({
  options: { unit: { type: 'boolean', default: false }, shard: { type: 'string' } },
});

setUp();

const unit = await runUnitTests();
const acceptance = values.unit
  ? { passed: 0, failed: 0 }
  : await runCounted(process.execPath, ['acceptance/run.mjs', '--hermetic']);
const passed = unit.passed + acceptance.passed;
const failed = unit.failed + acceptance.failed;
process.stdout.write(`unit tests: ${unit.passed} passed, ${unit.failed} failed; `);
process.stdout.write(`acceptance: ${acceptance.passed} passed, ${acceptance.failed} failed\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;

/** @returns {Promise<Counts>} */
async function runUnitTests() {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-vitest-'));
  const report = join(folder, 'report.json');
  try {
    const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=${report}`];
    const left = values.unit ? LONG.map((files) => `--exclude=${files}`) : [];
    const { code } = await runShown(process.execPath, [
      'node_modules/vitest/vitest.mjs',
      'run',
      ...(values.unit ? ON_EACH_NODE : []),
      ...reporters,
      ...left,
      ...(values.shard === undefined ? [] : [`--shard=${values.shard}`]),
    ]);
    return countsOf(report, code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} report
 * @param {number} code
 * @returns {Counts}
 */
function countsOf(report, code) {
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  let failed = numFailedTests;
  // A file that could not even be loaded has no tests in it.
  for (const { status, assertionResults } of testResults) {
    if (status === 'failed' && assertionResults.length === 0) failed += 1;
  }
  // An error outside of any test.
  if (code !== 0 && failed === 0) failed = 1;
  return { passed: numPassedTests, failed };
}
