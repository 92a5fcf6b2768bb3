import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHART } from '@entrepot/fixtures/helm-chart';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { parse } from 'yaml';

/** @import { Tally } from '../../tally.mjs' */

const PROMETHEUS = fileURLToPath(new URL('../../../deploy/prometheus', import.meta.url));

/** Checks the rules by themselves, and against series that must and must not raise an alarm. @param {Tally} tally @param {string} promtool */
export async function alerts(tally, promtool) {
  const run = (/** @type {string[]} */ ...args) =>
    runCommand([promtool, ...args], { cwd: PROMETHEUS, env: process.env, timeout: 60_000 });
  await tally.check('chart: promtool takes the alert rules', async () => {
    const result = await run('check', 'rules', '--lint-fatal', 'rules.yaml');
    assert.equal(result.code, 0, outputOf(result));
  });
  await tally.check('chart: alerts are raised by what they are for, and not by less', async () => {
    const result = await run('test', 'rules', 'rules.test.yaml');
    assert.equal(result.code, 0, outputOf(result));
    const { groups } = parse(await readFile(join(PROMETHEUS, 'rules.yaml'), 'utf8'));
    const { tests } = parse(await readFile(join(PROMETHEUS, 'rules.test.yaml'), 'utf8'));
    const tested = new Set(
      tests.flatMap((/** @type {any} */ { alert_rule_test: cases }) =>
        cases
          .filter((/** @type {any} */ { exp_alerts: expected }) => expected?.length > 0)
          .map((/** @type {any} */ { alertname }) => alertname),
      ),
    );
    assert.deepEqual(
      groups[0].rules
        .map((/** @type {any} */ { alert }) => alert)
        .filter((/** @type {string} */ name) => !tested.has(name)),
      [],
    );
  });
}

/** Checks that a server has each metric of the rules and the dashboard. @param {string} exposed what it exports */
export async function checkMetricNames(exposed) {
  const known = new Set(
    [...exposed.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
  for (const file of ['rules.yaml', 'dashboard.json']) {
    const text = await readFile(join(CHART, 'files', file), 'utf8');
    const named = new Set([...text.matchAll(/\b(?:entrepot|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name));
    assert.ok(named.size > 10, `metrics were expected in ${file}`);
    assert.deepEqual(
      [...named].filter((name) => !known.has(name)),
      [],
      file,
    );
  }
}
