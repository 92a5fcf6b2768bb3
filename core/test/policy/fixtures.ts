import type { Finding, PackageCoordinates, PolicyInput, Scanner, ScanReport } from '@entrepot/core';
import type { Condition, ExpressionScope, PolicyDocument, PolicyScanner } from '@entrepot/core/engine';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** A subset of expressions: `name`, `!name` and `&&`; `throw` fails when it is evaluated, `(` does not parse. */
export function compileForTests(text: string): (scope: ExpressionScope) => boolean {
  if (text.includes('(')) throw new Error('unexpected "("');
  const terms = text.split('&&').map((term) => term.trim());
  return (scope) =>
    terms.every((term) => {
      if (term === 'throw') throw new Error('no such key');
      const value: unknown = Reflect.get(scope, term.replace('!', ''));
      const holds = Array.isArray(value) ? value.length > 0 : Boolean(value);
      return term.startsWith('!') ? !holds : holds;
    });
}

/** A finding; what is not said is harmless. */
export function finding(id: string, rest: Partial<Finding> = {}): Finding {
  return { id, aliases: [], severity: 'low', fixedIn: [], source: 'sample', ...rest };
}

export function report(findings: readonly Finding[] = [], rest: Partial<ScanReport> = {}): ScanReport {
  return { scanner: 'trivy', revision: '1', scannedAt: 0, coverage: 'full', findings, ...rest };
}

/** A scanner with a database by `name@version`, and by `name` for whole names. Everything else is clean. */
export function database(findings: Readonly<Record<string, readonly Finding[]>> = {}): PolicyScanner {
  const lookup = ({ name, version }: PackageCoordinates): readonly Finding[] =>
    findings[version === undefined ? name : `${name}@${version}`] ?? [];
  return { id: 'osv', scanner: { subjects: { ecosystems: ['npm'] }, lookup, revision: () => '1' } };
}

/** A scanner that has to see the bytes. */
export const contentScanner: PolicyScanner = {
  id: 'trivy',
  scanner: { subjects: { ecosystems: ['npm'] }, revision: () => '1' } satisfies Partial<Scanner>,
};

export function databaseOf(now: number): PolicyScanner {
  return database({
    'lodash@1.0.0': [
      finding('GHSA-1', {
        aliases: ['CVE-1'],
        severity: 'high',
        fixedIn: ['1.0.1'],
        publishedAt: now - DAY,
        epss: 0.5,
      }),
    ],
    lodash: [finding('GHSA-1', { aliases: ['CVE-1'], severity: 'high', fixedIn: ['1.0.1'] })],
  });
}

/** The subject of most tests. */
export function request(now: number, rest: Partial<PolicyInput> = {}): PolicyInput {
  return {
    stage: 'request',
    repository: { name: 'npm', kind: 'proxy' },
    coordinates: { ecosystem: 'npm', name: 'lodash', version: '1.0.0' },
    facts: {},
    now,
    ...rest,
  };
}

/** Inputs that the rules of `everything` tell apart. */
export function inputs(now: number): readonly PolicyInput[] {
  const lodash = (version: string): PackageCoordinates => ({ ecosystem: 'npm', name: 'lodash', version });
  return [
    request(now),
    request(now, { facts: { publishedAt: now } }),
    request(now, { facts: { publishedAt: now - DAY } }),
    request(now, { facts: { publishedAt: now - DAY }, coordinates: lodash('1.0.1') }),
    request(now, { facts: { publishedAt: Number.NaN } }),
    request(now, { facts: { publishedAt: 1e300 } }),
    request(now, { facts: {}, firstSeenAt: now - HOUR }),
    request(now, { storedAt: now - 2 * DAY }),
    request(now, { storedAt: now - HOUR, stage: 'content', size: 1e9 }),
    request(now, { facts: { installScripts: true, newInstallScripts: true, publishedAt: now - 40 * DAY } }),
    request(now, { facts: { provenance: 'none', provenanceDowngraded: true, publisherChanged: true } }),
    request(now, { facts: { exoticDependencies: ['git+ssh://x'], newDependencies: ['é\r\n'] } }),
    request(now, { facts: { upstream: 'removed', yanked: true, deprecated: true, licenses: ['AGPL-3.0-only'] } }),
    request(now, { facts: { upstream: 'quarantined', licenses: ['('] } }),
    request(now, { stage: 'content', reports: [report([finding('MAL-1', { malicious: true })])] }),
    request(now, { stage: 'content', reports: [], scanFailures: [{ scanner: 'trivy', status: 'error' }] }),
    request(now, {
      storedAt: now - 20 * DAY,
      reports: [
        report([finding('CVE-9', { severity: 'critical', fixedIn: ['2'], cvss: 9.8, publishedAt: now - DAY })]),
      ],
    }),
    request(now, { repository: { name: 'constructor', kind: 'hosted' } }),
  ];
}

const conditions: Readonly<Record<string, Condition>> = {
  malicious: { malicious: true },
  'not-malicious': { malicious: false },
  young: { age: { lt: '3d' } },
  old: { age: { gte: '30d', lt: '60d' } },
  vulnerable: { vuln: { severity: ['>=medium', 'unknown'], fixAvailable: true, direct: true, exact: true } },
  likely: { vuln: { anyOf: [{ epss: { gte: 0.1 } }, { cvss: { gte: 9 } }, { kev: true }], not: { severity: 'none' } } },
  many: { vuln: { counts: { critical: 0, high: 3 } } },
  fixing: { fixes: { severity: '>=high' } },
  licences: { licenses: { deny: ['AGPL-*'], unknown: true } },
  'other-licences': { licenses: { allow: ['MIT', 'Apache-2.0'] } },
  deprecated: { anyOf: [{ deprecated: true }, { yanked: true }] },
  upstream: { upstream: ['removed', 'quarantined'] },
  scripts: { allOf: [{ installScripts: true }, { newInstallScripts: true }] },
  exotic: { exoticDependencies: true },
  'new-dependencies': { newDependencies: true },
  trust: { provenance: { level: 'none', downgraded: true, publisherChanged: true } },
  scanned: { scan: { status: ['clean', 'findings'] } },
  unscanned: { scan: { status: ['unsupported', 'error', 'stale', 'pending'] } },
  big: { size: { gt: '100MB' } },
  small: { size: { lte: '1KiB' } },
  expression: { cel: 'installScripts && !deprecated' },
  'not-deprecated': { not: { deprecated: true } },
};
const actions = ['deny', 'hold', 'hide', 'warn', 'allow'] as const;

/** One rule for each condition, and for each way to match. */
export const everything: PolicyDocument = {
  version: 1,
  repositories: { watched: { mode: 'audit', firstFetch: { action: 'deny' }, onScanFailure: 'deny' } },
  rules: [
    ...Object.entries(conditions).map(([id, when], index) => ({ id, when, action: actions[index % 5] ?? 'deny' })),
    { id: 'failing-expression', match: { versions: ['latest'] }, when: { cel: 'throw' }, action: 'hold' },
    { id: 'listed', match: { purl: ['pkg:npm/@scope/*'], except: ['pkg:npm/@scope/ok'] }, action: 'deny' },
    { id: 'listed-versions', match: { ecosystems: ['npm'], versions: ['<0.1.0', 'v2'] }, action: 'hold' },
    { id: 'grace', when: { vuln: { severity: '>=high' } }, action: 'deny', grace: { kept: '14d' } },
    { id: 'override', match: { versions: ['latest'] }, action: 'allow', override: ['young', 'scan-failure'] },
    { id: 'hosted', match: { kinds: ['hosted'], repositories: ['con*r'] }, action: 'warn' },
  ],
};
