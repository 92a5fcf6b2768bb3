import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createPolicy } from '@entrepot/core/engine';
import { readCases, subjectOf } from './golden.js';

/** Every kind of sentence that a rule gives, with a case of the golden files that it is given in: file, case, rule, sentence. */
const REASONS: readonly (readonly [file: string, name: string, rule: string, reason: string])[] = [
  [
    'attacks.json',
    'a stolen token, found within hours: balanced',
    'cooldown',
    'released 2026-03-10T10:00Z, younger than 3d (until 2026-03-13T10:00Z)',
  ],
  ['attacks.json', 'a release under an advisory of malware: balanced', 'malware', 'malicious: MAL-2025-47'],
  ['attacks.json', 'a release under an advisory of malware: balanced', 'vulnerable', 'MAL-2025-47'],
  [
    'attacks.json',
    'a new install script past the cooldown: balanced',
    'new-install-script',
    'first version that runs code when it is installed; released 2026-03-01T00:00Z, younger than 14d (until 2026-03-15T00:00Z)',
  ],
  [
    'attacks.json',
    'no provenance any more, past the cooldown: balanced',
    'trust-downgrade',
    'published in a less trusted way than before; released 2026-03-01T00:00Z, younger than 14d (until 2026-03-15T00:00Z)',
  ],
  [
    'attacks.json',
    'another publisher, past the cooldown: strict',
    'trust-downgrade',
    'published by somebody else than before; released 2026-03-01T00:00Z, younger than 30d (until 2026-03-31T00:00Z)',
  ],
  ['attacks.json', 'another publisher, past the cooldown: strict', 'unknown-licence', 'no licence named'],
  [
    'attacks.json',
    'a dependency from git, past the cooldown: balanced',
    'exotic-dependencies',
    'dependencies from elsewhere: github:x/y#abc; released 2026-03-01T00:00Z, younger than 14d (until 2026-03-15T00:00Z)',
  ],
  ['attacks.json', 'taken down upstream: balanced', 'quarantined-upstream', 'quarantined upstream'],
  ['attacks.json', 'removed upstream: strict', 'taken-down-upstream', 'removed upstream'],
  ['attacks.json', 'a weakness that is exploited: airgap', 'exploited', 'CVE-1 (critical, exploited, fixed in 1.0.1)'],
  [
    'cooldown.json',
    'an old release is young for the distrustful',
    'cooldown',
    'first seen here 2026-03-10T00:00Z, younger than 3d (until 2026-03-13T00:00Z)',
  ],
  ['cooldown.json', 'without a date or a first sight it is new', 'cooldown', 'first seen now'],
  ['cooldown.json', 'without a date it may be too young for ever, by rule', 'cooldown', 'no date of release'],
  ['exceptions.json', 'at the instant it expires', 'vulnerable', 'GHSA-1 (high)'],
  ['exceptions.json', 'malware needs two approvers', 'malware', 'malicious: MAL-1'],
  [
    'grace.json',
    'a kept copy works on after a new advisory',
    'vulnerable',
    'kept copies work until 2026-03-23T00:00Z: GHSA-1 (high)',
  ],
  ['grace.json', 'not where an older advisory is over its time', 'vulnerable', 'GHSA-1 (high) and 1 more'],
  ['licences.json', 'denied', 'licences', 'licence AGPL-3.0-only'],
  ['licences.json', 'both sides of an AND hold', 'licences', 'licence MIT AND agpl-3.0-only'],
  [
    'licences.json',
    'with an exception it is still that licence',
    'licences',
    'licence GPL-2.0-only WITH Classpath-exception-2.0',
  ],
  ['licences.json', 'every one has to be allowed', 'licences', 'licence ISC'],
  ['licences.json', 'no SPDX expression is not allowed', 'licences', 'licence MIT License'],
  ['lists.json', 'a private name', 'private-names', 'a private name is never fetched from elsewhere'],
  ['lists.json', 'escaped as package URLs are', 'l', 'listed'],
  ['modes.json', 'enforce', 'no', 'not here'],
  ['modes.json', 'a watched rule beside one in force', 'warns', 'take care'],
  ['modes.json', 'every rule is named, the strongest first', 'a', 'a'],
  ['modes.json', 'every rule is named, the strongest first', 'b', 'b'],
  ['modes.json', 'every rule is named, the strongest first', 'd', 'd'],
  ['modes.json', 'every rule is named, the strongest first', 'c', 'c'],
  ['modes.json', 'allow beats nothing by itself', 'yes', 'yes'],
  ['modes.json', 'allow beats what it names', 'no', 'overridden: not here'],
  ['modes.json', 'allow beats nothing else', 'also', 'also'],
  ['scans.json', 'decided when they are', 'vulnerable', 'CVE-1 (high)'],
  ['scans.json', 'a decision that cannot get stronger is not pending', 'no', 'no'],
  ['scans.json', 'a failed scan may close the door', 'scan-failure', 'trivy could not scan it'],
  ['scans.json', 'a stale database is a failed scan', 'scan-failure', 'the database of trivy is too old'],
  ['scans.json', 'no coverage is not clean', 'n', 'as the rule says'],
  ['scans.json', 'too big', 'big', '2MiB, more than 1MiB'],
  ['scans.json', 'an expression that holds', 'cel', 'expression: installScripts && !deprecated'],
  ['scans.json', 'an expression that fails closes the door', 'cel', 'its expression failed'],
  ['vulnerabilities.json', 'high and known to be exploited', 'exploitable', 'GHSA-1 (high, exploited, fixed in 1.0.1)'],
  ['vulnerabilities.json', 'high, not likely to be exploited', 'vulnerable', 'GHSA-1 (high, fixed in 1.0.1)'],
  ['vulnerabilities.json', 'high, without a fix', 'vulnerable', 'GHSA-1 (high, exploited)'],
  [
    'vulnerabilities.json',
    'strict refuses every high one',
    'vulnerable',
    'GHSA-2 (critical, fixed in 1.0.1 and 1 more) and 1 more',
  ],
  ['vulnerabilities.json', 'an unknown severity is a level of its own', 'less-vulnerable', 'GO-1 (unknown)'],
  [
    'vulnerabilities.json',
    'more of a severity than is allowed',
    'counts',
    '2 high (at most 1): GHSA-1 (high) and 1 more',
  ],
  ['vulnerabilities.json', 'malware by its name, without the flag', 'malware', 'malicious: GHSA-1'],
  ['vulnerabilities.json', 'not malicious where somebody looked', 'trusted', 'not malicious'],
];

it.each(REASONS)('%s: %s: %s says: %s', (file, name, rule, reason) => {
  const golden = readCases(readFileSync(new URL(`golden/${file}`, import.meta.url), 'utf8'));
  const found = golden.find((one) => one.name === name);
  if (found === undefined) throw new Error(`expected a case "${name}" in golden/${file}`);
  const { options, input } = subjectOf(found);
  const { rules } = createPolicy(options).evaluate(input);
  expect(rules.filter(({ id }) => id === rule).map((fired) => fired.reason)).toContain(reason);
});
