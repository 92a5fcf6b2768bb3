import { describe, expect, it } from 'vitest';
import { normaliseVersion, versionIdentity } from '../src/version.js';

describe('normaliseVersion', () => {
  it.each([
    ['1.0', '1.0'],
    ['v1.0', '1.0'],
    ['1.0.0-ALPHA1', '1.0.0a1'],
    ['1.0c1', '1.0rc1'],
    ['1.0-preview', '1.0rc0'],
    ['01.02', '1.2'],
    ['1.0-1', '1.0.post1'],
    ['1.0.rev3', '1.0.post3'],
    ['1.0_dev', '1.0.dev0'],
    ['0!1.0', '1.0'],
    ['2!1.0', '2!1.0'],
    ['1.0+Ubuntu_1-02', '1.0+ubuntu.1.2'],
    ['not-a-version', 'not-a-version'],
    [`1.${'0'.repeat(500)}`, `1.${'0'.repeat(500)}`],
  ])('%s is %s', (text, normal) => {
    expect(normaliseVersion(text)).toBe(normal);
  });
});

describe('versionIdentity', () => {
  it.each([
    ['1', '1.0.0'],
    ['1.0a1', '1.0.0a1'],
    ['1.0.post1', '1.post1'],
    ['1.0.dev1', '1.dev1'],
    ['1.0+local', '1+local'],
  ])('%s equals %s', (one, other) => {
    expect(versionIdentity(one)).toBe(versionIdentity(other));
  });

  it.each([
    ['1.0', '10'],
    ['1.0.1', '1.1'],
    ['1.10', '1.1'],
    ['1!1', '1'],
  ])('%s is not %s', (one, other) => {
    expect(versionIdentity(one)).not.toBe(versionIdentity(other));
  });
});
