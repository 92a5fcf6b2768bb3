import type { ExpressionScope } from '@entrepot/core/engine';
import { describe, expect, it } from 'vitest';
import { compileExpression } from '../../src/policy/compile-expression.js';

const SCOPE: ExpressionScope = {
  purl: { ecosystem: 'npm', name: '@acme/tool', version: '1.2.3' },
  repository: { name: 'npm', kind: 'proxy' },
  known: ['licenses'],
  findings: [{ id: 'CVE-1', aliases: [], severity: 'high', cvss: 9.1, fixedIn: [], source: 'test' }],
  size: 12_345,
  publishedAt: 1_700_000_000_000,
  licenses: ['MIT'],
  deprecated: false,
  yanked: false,
  upstream: '',
  installScripts: true,
  newInstallScripts: false,
  exoticDependencies: [],
  newDependencies: [],
  provenance: 'none',
  provenanceDowngraded: false,
  publisherChanged: false,
  publisher: '',
};

describe('an expression', () => {
  it.each([
    ['size > 1000 && purl.name.startsWith("@acme/")', true],
    ['findings.exists(f, f.severity == "high" && f.cvss >= 9)', true],
    ['findings.filter(f, f.cvss > 1.0).exists(f, f.id == "CVE-2")', false],
    ['"MIT" in licenses && !installScripts', false],
    ['publishedAt < 1600000000000', false],
    ['has(purl.version) && purl.version == "1.2.3"', true],
  ])('%s is %s', (text, expected) => {
    expect(compileExpression(text)(SCOPE)).toBe(expected);
  });

  it.each([
    ['1 +', 'Unexpected token'],
    ['nobody == 1', 'nobody'],
    ['size + 1', 'expected an expression that is true or false'],
    [`size > ${'1'.repeat(3_000)}`, 'expected at most 2000 characters'],
    [`${'('.repeat(60)}true${')'.repeat(60)}`, 'maxDepth'],
    ['licenses.exists(a, licenses.exists(b, a == b))', 'within another one'],
    ['licenses.all(a, findings.map(b, b.id).size() > 0)', 'within another one'],
    [`licenses${'.map(x, x + x)'.repeat(9)}.size() > 0`, 'expected at most 8'],
    ['purl.name.matches("(a+)+$")', 'matches is not supported'],
    [`licenses == [${'1,'.repeat(150)}1]`, 'maxListElements'],
  ])('is refused: %s', (text, message) => {
    expect(() => compileExpression(text)).toThrow(message);
  });

  it('ends soon, whatever lists an upstream makes it look at', () => {
    const compiled = compileExpression('newDependencies.map(x, x + x).map(x, x + x).map(x, x + x).exists(x, x == "y")');
    const newDependencies = Array.from({ length: 200_000 }, () => 'x'.repeat(100));
    const before = performance.now();
    expect(compiled({ ...SCOPE, newDependencies })).toBe(false);
    expect(performance.now() - before).toBeLessThan(500);
  });

  it('throws where it turns out to be neither true nor false', () => {
    expect(() => compileExpression('deprecated')({ ...SCOPE, deprecated: 'perhaps' })).toThrow(
      'expected true or false',
    );
  });
});
