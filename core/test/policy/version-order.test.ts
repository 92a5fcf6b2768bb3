import { describe, expect, it } from 'vitest';
import { compareVersions } from '../../src/policy/version-order.js';

describe('compareVersions', () => {
  it.each(['pypi', 'npm', 'golang', 'composer'])('ends for letters and a sign behind them, in %s', (ecosystem) => {
    expect(compareVersions(ecosystem, `1.0${'a'.repeat(60)}~`, '1.0')).toBeUndefined();
  });
});
