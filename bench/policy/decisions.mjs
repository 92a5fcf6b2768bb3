// Measures the time of a decision from memory: for one version, and for all versions of a document.
// node bench/policy/decisions.mjs   (after npm run build)
import { createPolicy, PRESETS } from '@entrepot/core/engine';
import { percentile } from '../lib/statistics.mjs';

const NOW = Date.UTC(2026, 0, 1);
const DAY = 24 * 3_600_000;
const DECISIONS = 200_000;
const WARM_UP = 50_000;
const VERSIONS = 2000;

/** Findings of one in twenty versions. */
const FINDINGS = Array.from({ length: 5 }, (_, index) => ({
  id: `GHSA-${index}`,
  aliases: [`CVE-2026-${index}`],
  severity: index === 0 ? 'critical' : 'medium',
  cvss: 9.8 - index,
  epss: 0.2,
  fixedIn: ['9.9.9'],
  publishedAt: NOW - 30 * DAY,
  source: 'sample',
}));
const NONE = [];

const scanner = {
  id: 'osv',
  scanner: {
    subjects: { ecosystems: ['npm'] },
    revision: () => '1',
    lookup: ({ version = '' }) => (version.endsWith('7') && version.length % 2 === 0 ? FINDINGS : NONE),
  },
};
const exceptions = Array.from({ length: 1000 }, (_, index) => ({
  id: `e${index}`,
  scope: { purl: [`pkg:npm/name-${index}`] },
  approvedBy: ['ann'],
  expiresAt: NOW + DAY,
  active: true,
}));

function inputOf(index) {
  return {
    stage: 'request',
    repository: { name: 'npm', kind: 'proxy' },
    coordinates: { ecosystem: 'npm', name: `name-${index % 5000}`, version: `1.${index % 97}.${index}` },
    facts: {
      publishedAt: NOW - (index % 400) * DAY,
      licenses: ['(MIT OR Apache-2.0)'],
      deprecated: index % 50 === 0,
      installScripts: index % 30 === 0,
      newInstallScripts: index % 300 === 0,
      exoticDependencies: [],
      provenance: 'trusted-publisher',
    },
    now: NOW,
  };
}

function measureDecisions(policy) {
  for (let index = 0; index < WARM_UP; index += 1) policy.evaluate(inputs[index % inputs.length]);
  return Array.from({ length: DECISIONS }, (_, index) => {
    const input = inputs[index % inputs.length];
    const before = process.hrtime.bigint();
    policy.evaluate(input);
    return Number(process.hrtime.bigint() - before) / 1000;
  });
}

function measureDocument(policy) {
  const versions = Array.from({ length: VERSIONS }, (_, index) => ({
    ...inputOf(index),
    coordinates: { ecosystem: 'npm', name: 'name-1', version: `1.${index}.0` },
  }));
  return Array.from({ length: 100 }, () => {
    const before = process.hrtime.bigint();
    for (const version of versions) policy.evaluate(version);
    return Number(process.hrtime.bigint() - before) / 1e6;
  });
}

const inputs = Array.from({ length: 20_000 }, (_, index) => inputOf(index));
const rows = Object.keys(PRESETS).map((preset) => {
  const policy = createPolicy({ document: { version: 1, preset }, scanners: [scanner], exceptions: () => exceptions });
  const microseconds = measureDecisions(policy);
  const milliseconds = measureDocument(policy);
  return {
    preset,
    'decision p50 us': percentile(microseconds, 0.5).toFixed(2),
    'decision p99 us': percentile(microseconds, 0.99).toFixed(2),
    [`${VERSIONS} versions p50 ms`]: percentile(milliseconds, 0.5).toFixed(2),
    [`${VERSIONS} versions p99 ms`]: percentile(milliseconds, 0.99).toFixed(2),
  };
});
console.table(rows);
