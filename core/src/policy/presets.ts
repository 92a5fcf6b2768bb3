import { defined } from '../formats/json-values.js';
import type { PolicyDocument, PolicyRule, PresetName } from './document.js';

/** Ecosystems whose documents tell when a version was published. */
const DATED = ['npm', 'pypi', 'cargo'];

const MALWARE: PolicyRule = {
  id: 'malware',
  when: { malicious: true },
  action: 'deny',
  grace: '0s',
  exceptions: 'two-approvers',
};

/** Lists nothing until the policy names what is yours. */
const PRIVATE_NAMES: PolicyRule = {
  id: 'private-names',
  match: { kinds: ['proxy'], purl: [] },
  action: 'deny',
  reason: 'a private name is never fetched from elsewhere',
};

const BALANCED: PolicyDocument = {
  version: 1,
  mode: 'enforce',
  defaults: whenUnknown('allow'),
  rules: [
    MALWARE,
    PRIVATE_NAMES,
    {
      id: 'cooldown',
      match: { kinds: ['proxy'], ecosystems: DATED },
      when: { age: { lt: '3d' } },
      unless: { fixes: { severity: '>=high' } },
      action: 'hold',
    },
    {
      id: 'exploitable',
      when: {
        vuln: {
          severity: '>=high',
          fixAvailable: true,
          anyOf: [{ kev: true }, { epss: { gte: 0.1 } }, { cvss: { gte: 9 } }],
        },
      },
      action: 'deny',
      grace: { kept: '14d' },
    },
    { id: 'vulnerable', when: { vuln: { severity: '>=high' } }, action: 'warn' },
    {
      id: 'new-install-script',
      match: { kinds: ['proxy'] },
      when: { newInstallScripts: true, age: { lt: '14d' } },
      action: 'hold',
    },
    {
      id: 'trust-downgrade',
      match: { kinds: ['proxy'] },
      when: { provenance: { downgraded: true }, age: { lt: '14d' } },
      action: 'hold',
    },
    {
      id: 'exotic-dependencies',
      match: { kinds: ['proxy'] },
      when: { exoticDependencies: true, age: { lt: '14d' } },
      action: 'hold',
    },
    { id: 'quarantined-upstream', when: { upstream: 'quarantined' }, action: 'deny' },
    { id: 'removed-upstream', when: { upstream: 'removed' }, action: 'warn' },
  ],
};

const STRICT: PolicyDocument = {
  version: 1,
  mode: 'enforce',
  defaults: whenUnknown('hold'),
  rules: [
    MALWARE,
    PRIVATE_NAMES,
    {
      id: 'cooldown',
      match: { kinds: ['proxy'] },
      when: { age: { lt: '7d' } },
      unless: { fixes: { severity: '>=high' } },
      action: 'hold',
    },
    { id: 'exploited', when: { vuln: { kev: true } }, action: 'deny' },
    { id: 'vulnerable', when: { vuln: { severity: '>=high' } }, action: 'deny', grace: { kept: '7d' } },
    { id: 'less-vulnerable', when: { vuln: { severity: ['medium', 'unknown'] } }, action: 'warn' },
    {
      id: 'not-scanned',
      match: { kinds: ['proxy'] },
      when: { scan: { status: ['unsupported', 'stale'] } },
      action: 'warn',
    },
    { id: 'new-install-script', match: { kinds: ['proxy'] }, when: { newInstallScripts: true }, action: 'hold' },
    {
      id: 'trust-downgrade',
      match: { kinds: ['proxy'] },
      when: {
        anyOf: [{ provenance: { downgraded: true } }, { provenance: { publisherChanged: true }, age: { lt: '30d' } }],
      },
      action: 'hold',
    },
    { id: 'exotic-dependencies', match: { kinds: ['proxy'] }, when: { exoticDependencies: true }, action: 'hold' },
    { id: 'taken-down-upstream', when: { upstream: ['removed', 'quarantined'] }, action: 'deny' },
    { id: 'unknown-licence', when: { licenses: { unknown: true } }, action: 'warn' },
    { id: 'deprecated', when: { anyOf: [{ deprecated: true }, { yanked: true }] }, action: 'warn' },
  ],
};

const AIRGAP: PolicyDocument = {
  version: 1,
  mode: 'enforce',
  defaults: { ...whenUnknown('deny'), unknownDate: 'allow' },
  // What is here was let in by somebody: no rule waits for time to tell.
  rules: [
    MALWARE,
    PRIVATE_NAMES,
    { id: 'exploited', when: { vuln: { kev: true } }, action: 'deny' },
    {
      id: 'vulnerable',
      when: { vuln: { severity: '>=high', fixAvailable: true } },
      action: 'deny',
      grace: { kept: '30d' },
    },
    { id: 'less-vulnerable', when: { vuln: { severity: ['>=medium', 'unknown'] } }, action: 'warn' },
    { id: 'not-scanned', when: { scan: { status: ['unsupported', 'stale'] } }, action: 'warn' },
    { id: 'exotic-dependencies', when: { exoticDependencies: true }, action: 'deny' },
  ],
};

/** Policies to start from. Plain documents: what they say can be printed, and written down as one's own. */
export const PRESETS: Readonly<Record<PresetName, PolicyDocument>> = {
  observe: {
    ...BALANCED,
    mode: 'audit',
    defaults: { ...BALANCED.defaults, firstFetch: { action: 'allow' } },
  },
  balanced: BALANCED,
  strict: STRICT,
  airgap: AIRGAP,
};

/** The document with its preset in it: rules of the preset first, each with what the document says over it, then its own. */
export function resolvePolicy(document: PolicyDocument): PolicyDocument {
  const { preset, ...own } = document;
  if (preset === undefined) return document;
  const base = PRESETS[preset];
  const rules = new Map((base.rules ?? []).map((rule) => [rule.id, rule]));
  for (const rule of own.rules ?? []) rules.set(rule.id, { ...rules.get(rule.id), ...defined(rule), id: rule.id });
  return {
    ...base,
    ...defined(own),
    defaults: {
      ...base.defaults,
      ...defined(own.defaults ?? {}),
      firstFetch: { ...base.defaults?.firstFetch, ...defined(own.defaults?.firstFetch ?? {}) },
    },
    rules: [...rules.values()],
  };
}

/** The defaults of a preset that lets the first fetch wait for the scan, and then does `action` without one. */
function whenUnknown(action: 'allow' | 'hold' | 'deny'): PolicyDocument['defaults'] {
  return {
    onScanFailure: action,
    firstFetch: { action: 'hold', deadline: '25s', onTimeout: action },
    unknownDate: 'first-seen',
    ageSource: 'upstream',
  };
}
