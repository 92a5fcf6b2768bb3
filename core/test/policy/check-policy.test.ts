import { describe, expect, it } from 'vitest';
import { checkPolicy, createPolicy, PRESET_NAMES, PRESETS, resolvePolicy } from '@entrepot/core/engine';
import { compileForTests, everything } from './fixtures.js';

const rule = (rest: object): object => ({ version: 1, rules: [{ id: 'r', action: 'deny', ...rest }] });
const when = (condition: unknown): object => rule({ when: condition });
const deep = (levels: number): object => (levels === 0 ? { malicious: true } : { not: deep(levels - 1) });

describe('checkPolicy', () => {
  it.each([
    [undefined, '', 'expected an object, found undefined'],
    [[], '', 'expected an object, found []'],
    [{}, 'version', 'missing'],
    [{ version: 2 }, 'version', 'expected one of 1, found 2'],
    [{ version: 1, rule: [] }, 'rule', 'unknown key; did you mean rules?'],
    [{ version: 1, preset: 'lax' }, 'preset', 'observe, balanced, strict, airgap'],
    [{ version: 1, mode: 'on' }, 'mode', 'off, audit, enforce'],
    [{ version: 1, rules: {} }, 'rules', 'expected a list, found {}'],
    [{ version: 1, defaults: { firstFetch: { deadline: 'soon' } } }, 'defaults.firstFetch.deadline', 'such as 12h'],
    [{ version: 1, defaults: { firstFetch: { deadline: 'forever' } } }, 'defaults.firstFetch.deadline', 'duration'],
    [{ version: 1, repositories: { 'a b': { mode: 1 } } }, 'repositories."a b".mode', 'found 1'],
    [{ version: 1, rules: [{ id: 'x' }] }, 'rules[0].action', 'missing'],
    [rule({ id: 'Bad Id' }), 'rules[0].id', 'lower-case'],
    [rule({ id: 'scan-failure' }), 'rules[0].id', 'reserved'],
    [{ version: 1, rules: [1, 2].map(() => ({ id: 'x', action: 'deny' })) }, 'rules[1].id', 'used twice'],
    [rule({ action: 'block' }), 'rules[0].action', 'deny, hold, hide, warn, allow'],
    [rule({ match: { purl: ['lodash'] } }), 'rules[0].match.purl[0]', 'a package URL'],
    [rule({ match: { purl: ['pkg:npm/%zz'] } }), 'rules[0].match.purl[0]', 'a package URL'],
    [rule({ match: { purl: ['pkg:npm/a%00'] } }), 'rules[0].match.purl[0]', 'a package URL'],
    [rule({ match: { versions: ['>=x'] } }), 'rules[0].match.versions[0]', 'a range'],
    [rule({ match: { kinds: ['group'] } }), 'rules[0].match.kinds[0]', 'proxy, hosted'],
    [when({}), 'rules[0].when', 'at least one key'],
    [when({ agee: { lt: '3d' } }), 'rules[0].when.agee', 'unknown key'],
    [when({ age: { lt: '3 days' } }), 'rules[0].when.age.lt', 'found "3 days"'],
    [when({ age: {} }), 'rules[0].when.age', 'at least one key'],
    [when({ anyOf: [] }), 'rules[0].when.anyOf', 'at least one entry'],
    [when({ anyOf: [{ vuln: { severity: 'bad' } }] }), 'rules[0].when.anyOf[0].vuln.severity', 'a severity'],
    [when({ vuln: { severity: '>=unknown' } }), 'rules[0].when.vuln.severity', 'a severity'],
    [when({ vuln: { epss: { gte: 10 } } }), 'rules[0].when.vuln.epss.gte', 'from 0 to 1'],
    [when({ vuln: { counts: { worst: 1 } } }), 'rules[0].when.vuln.counts.worst', 'unknown key'],
    [when({ vuln: { not: { counts: { high: 1 } } } }), 'rules[0].when.vuln.not.counts', 'unknown key'],
    [when({ size: { gt: 'huge' } }), 'rules[0].when.size.gt', 'a size'],
    [when({ malicious: 'yes' }), 'rules[0].when.malicious', 'true or false'],
    [when({ cel: 'f(' }), 'rules[0].when.cel', 'does not parse: unexpected "("'],
    [when({ cel: 'x'.repeat(3000) }), 'rules[0].when.cel', 'at most 2000 characters'],
    [when({ cel: '' }), 'rules[0].when.cel', 'an expression'],
    [when(deep(20)), `rules[0].when${'.not'.repeat(13)}`, 'nested more than 12'],
    [rule({ when: { malicious: true }, grace: 'a while' }), 'rules[0].grace', 'duration'],
    [rule({ when: { deprecated: true }, grace: '1d' }), 'rules[0].grace', 'only a rule on findings'],
    [rule({ action: 'warn', when: { vuln: {} }, grace: '1d' }), 'rules[0].grace', 'no need of grace'],
    [rule({ override: ['r'] }), 'rules[0].override', 'only a rule with the action allow'],
    [rule({ action: 'allow', override: ['x'] }), 'rules[0].override[0]', 'there is no rule x'],
    [rule({ reason: 'x'.repeat(121) }), 'rules[0].reason', 'at most 120'],
  ])('finds what is wrong in %j', (document, path, message) => {
    const problems = checkPolicy(document, compileForTests);
    expect(problems).toContainEqual({ path, message: expect.stringContaining(message) as string });
    expect(() => createPolicy({ document: document as never, compileExpression: compileForTests })).toThrow(message);
  });

  it('finds all of it at once', () => {
    const problems = checkPolicy({
      version: 2,
      mod: 'x',
      rules: [{ id: 'r', action: 'no', when: { age: { lt: -1 } } }],
    });
    expect(problems.map(({ path }) => path)).toEqual(['version', 'mod', 'rules[0].action', 'rules[0].when.age.lt']);
  });

  it('refuses expressions that nobody can compile', () => {
    expect(checkPolicy(when({ cel: 'deprecated' }))).toEqual([
      { path: 'rules[0].when.cel', message: 'expressions are not available here' },
    ]);
  });

  it('takes every condition that there is', () => {
    expect(checkPolicy(everything, compileForTests)).toEqual([]);
  });
});

describe('presets', () => {
  it.each(PRESET_NAMES)('%s is a right document by itself, also once it is written down', (name) => {
    expect(checkPolicy(PRESETS[name])).toEqual([]);
    const written: unknown = JSON.parse(JSON.stringify(PRESETS[name]));
    expect(written).toEqual(PRESETS[name]);
  });

  it('is not hidden by keys that say nothing', () => {
    const document = { version: 1, preset: 'observe', mode: undefined, defaults: undefined, rules: undefined } as const;
    expect(resolvePolicy(document)).toEqual(PRESETS.observe);
  });

  it('gives its rules, with what the document says over them, before those of the document', () => {
    const {
      preset,
      mode,
      rules = [],
    } = resolvePolicy({
      version: 1,
      preset: 'balanced',
      mode: 'audit',
      rules: [
        { id: 'own', action: 'warn' },
        { id: 'cooldown', when: { age: { lt: '7d' } } },
      ],
    });
    expect(preset).toBeUndefined();
    expect(mode).toBe('audit');
    expect(rules.at(-1)).toEqual({ id: 'own', action: 'warn' });
    const cooldown = PRESETS.balanced.rules?.find(({ id }) => id === 'cooldown');
    expect(rules.find(({ id }) => id === 'cooldown')).toEqual({ ...cooldown, when: { age: { lt: '7d' } } });
  });
});
