import { describe, expect, it } from 'vitest';
import { isPackageName } from '../src/package-name.js';

/** Names that validate-npm-package-name takes for old packages, in its first release or its newest. */
const TAKEN = [
  'some-package',
  'example.com',
  'under_score',
  'period.js',
  '123numeric',
  'crazy!',
  "odd~'()*",
  'CAPITAL-LETTERS',
  'http',
  'package_',
  '-hyphen-first',
  '--',
  '~tilde',
  'a'.repeat(215),
  '@npm/thingy',
  '@npm-zors/money!time.js',
  '@_ueberdosis/pro',
  '@.dots/p',
  '@-/p',
  '@s/_private',
  '@s/-p',
  '@s/.dots',
  '@s/...',
  '@s/node_modules',
  '@S/P',
] as const;

const REFUSED = [
  '',
  '.start-with-period',
  '_start-with-underscore',
  'contain:colons',
  ' leading-space',
  'trailing-space ',
  's/l/a/s/h/e/s',
  'node_modules',
  'Node_Modules',
  'favicon.ico',
  '@npm/.',
  '@npm/..',
  '@npm',
  '@/p',
  '@npm/',
  '@a/b/c',
  '@a b/c',
  'a@b',
  'a+b',
  'a%2fb',
  '\u00e9',
  // The beginning of the registry's own routes.
  '-',
  'a'.repeat(513),
] as const;

describe('package names', () => {
  it.each(TAKEN)('%j is one', (name) => expect(isPackageName(name)).toBe(true));
  it.each(REFUSED)('%j is none', (name) => expect(isPackageName(name)).toBe(false));
});
