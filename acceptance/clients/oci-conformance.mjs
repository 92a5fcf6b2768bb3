import { runCommand } from '@entrepot/fixtures/run-command';

/**
 * @typedef {object} ConformanceCounts
 * @property {number} passed
 * @property {number} skipped what the registry said it does not do, and what was switched off
 * @property {readonly string[]} failed one line for each test that failed
 */

const LINE = /^ *(?<name>OCI Conformance Test.*): (?<status>Pass|FAIL|Skip|Disabled|Error|Unknown)$/;

/**
 * Runs the conformance test of the OCI distribution specification to its end.
 * @param {object} options
 * @param {string} options.program
 * @param {string} options.host of the registry, with its port; without TLS
 * @param {string} options.folder where its report goes
 * @param {Record<string, string>} options.settings its own, without the prefix `OCI_`
 * @returns {Promise<ConformanceCounts>}
 */
export async function runConformance({ program, host, folder, settings }) {
  const own = Object.fromEntries(Object.entries(settings).map(([name, value]) => [`OCI_${name}`, value]));
  const env = { OCI_REGISTRY: host, OCI_TLS: 'disabled', OCI_LOG: 'error', OCI_RESULTS_DIR: folder, ...own };
  const command = [program];
  const { code, stdout, stderr } = await runCommand(command, { cwd: folder, env, timeout: 300_000, kept: 8_000_000 });
  // The exit code says nothing: a wrong setting is 0, and after a read-only run it may fail to write its report files.
  if (!stdout.includes('OCI Conformance Result: ')) {
    throw new Error(`a result was expected from ${program}: ${code} ${stderr.slice(-2000)}`);
  }
  return readResults(stdout);
}

/** Only the tests themselves are counted, not the groups that they are in. @param {string} text @returns {ConformanceCounts} */
function readResults(text) {
  const counts = { passed: 0, skipped: 0, failed: /** @type {string[]} */ ([]) };
  const lines = text.split('\n');
  const tests = lines.flatMap((line, at) => {
    const found = LINE.exec(line)?.groups;
    return found === undefined ? [] : [{ name: found.name ?? '', status: found.status, reason: lines[at + 1] ?? '' }];
  });
  for (const [at, { name, status, reason }] of tests.entries()) {
    if (tests[at + 1]?.name.startsWith(`${name}/`)) continue;
    if (status === 'Pass') counts.passed += 1;
    else if (status === 'Skip' || status === 'Disabled') counts.skipped += 1;
    else counts.failed.push(`${name}: ${reason.replace(/^ *- /, '').slice(0, 300)}`);
  }
  return counts;
}
