import { expect, it } from 'vitest';
import {
  apkOrder,
  composerOrder,
  debOrder,
  gemOrder,
  mavenOrder,
  nugetOrder,
  numbersOrder,
  pep440Order,
  rpmOrder,
  semverOrder,
  type VersionOrder,
} from '../../src/formats/index.js';
import { pick } from '@entrepot/fixtures/random-json';
import { pseudoRandom } from '../../src/testing/index.js';

/** Versions in their order; those in one string, separated by spaces, are the same. */
const ORDERS: readonly (readonly [string, VersionOrder, readonly string[], readonly string[]])[] = [
  [
    'semver',
    semverOrder,
    [
      '0.0.0',
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0 v1.0.0 1 1.0 1.0.0+build',
      '1.2.0',
      '1.10.0',
      '2.0.0 2.0.0+incompatible',
    ],
    ['', 'latest', '1.x', '1.2beta', 'a'.repeat(600)],
  ],
  [
    'PEP 440',
    pep440Order,
    [
      '0.9',
      '1.0.dev1',
      '1.0a1.dev1',
      '1.0a1 1.0.alpha1',
      '1.0a1.post1',
      '1.0b2',
      '1.0rc1 1.0c1 1.0-preview-1',
      '1.0 1 1.0.0 v1.0',
      '1.0+abc.5',
      '1.0+abc.7',
      '1.0+5',
      '1.0.post1.dev1',
      '1.0.post1 1.0-1 1.0.rev1',
      '1.1',
      '1.10',
      '1!0.1',
    ],
    ['', 'dev-master', '1.0-foo'],
  ],
  [
    'deb',
    debOrder,
    [
      '0~',
      '0',
      '1.0~~',
      '1.0~~a',
      '1.0~',
      '1.0~rc1-1',
      '1.0 1.0-0 0:1.0',
      '1.0-1',
      '1.0-1+deb12u1',
      '1.0-1.1',
      '1.0a-1',
      '1.0+dfsg-1',
      '1.0.1-1',
      '1.10-1',
      '1:0.1',
    ],
    ['', 'a b', 'x:1'],
  ],
  [
    'rpm',
    rpmOrder,
    [
      '0.9-1',
      '1.0~rc1-1',
      '1.0',
      '1.0-1 0:1.0-1 01.0-1',
      '1.0-1.el9',
      '1.0-1.el9_1',
      '1.0-2',
      '1.0^git1-1',
      '1.0.a-1',
      '1.0.1-1',
      '1.10-1',
      '1:0.1-1',
    ],
    ['', '-'],
  ],
  [
    'apk',
    apkOrder,
    [
      '0.9',
      '1.0_alpha1',
      '1.0_beta',
      '1.0_pre1',
      '1.0_rc1',
      '1.0 1.0-r0',
      '1.0-r1',
      '1.0-r10',
      '1.0_git1',
      '1.0_p1',
      '1.0a',
      '1.0.01',
      '1.0.1',
      '1.10',
    ],
    ['', '1.0-x', 'a'],
  ],
  [
    'Maven',
    mavenOrder,
    [
      '1.0-alpha-1 1.0-a1',
      '1.0-beta',
      '1.0-m2 1.0-milestone-2',
      '1.0-rc1 1.0-CR1',
      '1.0-SNAPSHOT',
      '1.0 1 1.0.0 1.0-ga 1.0.Final 1.0.RELEASE',
      '1.0-sp1',
      '1.0-foo',
      '1.0-1',
      '1.0.1',
      '1.2',
      '1.10',
      '2',
    ],
    [''],
  ],
  [
    'RubyGems',
    gemOrder,
    ['0.9', '1.0.a', '1.0.b2', '1.0.pre', '1.0.0.rc1', '1.0.0.rc2', '1.0 1 1.0.0', '1.0.0.1', '1.10'],
    ['', 'x', '1..2'],
  ],
  [
    'NuGet',
    nugetOrder,
    [
      '1.0.0-1',
      '1.0.0-alpha',
      '1.0.0-ALPHA.1',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0 1.0 1.0.0.0 1.0.0+build',
      '1.0.0.1',
      '1.0.1',
      '1.10.0',
    ],
    ['', '1.2.3.4.5', 'x'],
  ],
  [
    'Packagist',
    composerOrder,
    [
      '1.0.0-dev',
      '1.0.0-alpha1',
      '1.0.0-beta1',
      '1.0.0-beta2',
      '1.0.0-RC1',
      '1.0.0 v1.0.0 1.0',
      '1.0.0-patch1',
      '1.0.1',
      '1.10.0',
    ],
    ['', 'dev-main', `3.0${'a'.repeat(60)}~`, '1.0.', '1..0'],
  ],
  ['numbers', numbersOrder, ['1', '1.0', '1.0-1', '1.2', '1.10'], ['', '1.0a']],
];

it.each(ORDERS)('puts versions of %s in order', (_name, order, groups, none) => {
  const keys = groups.flatMap((spellings, rank) =>
    spellings.split(' ').map((text) => ({ text, rank, key: order.parse(text) })),
  );
  for (const { text, key } of keys) expect(key, text).toBeDefined();
  for (const one of keys) {
    for (const other of keys) {
      const found = Math.sign(order.compare(one.key, other.key));
      expect(found, `${one.text} and ${other.text}`).toBe(Math.sign(one.rank - other.rank));
    }
  }
  for (const text of none) expect(order.parse(text), text).toBeUndefined();
});

it.each(ORDERS)('%s orders any texts, and throws for none', (_, order, versions) => {
  const random = pseudoRandom(29);
  const parts = [
    ...versions.flatMap((each) => each.split(' ')),
    ...'.-_+~^:!v0123456789abz'.split(''),
    ' ',
    '\u0000',
    '99999999999999999999',
  ];
  const found: unknown[] = [];
  for (let round = 0; round < 5_000; round += 1) {
    const text = Array.from({ length: Math.floor(random() * 5) }, () => pick(random, parts)).join('');
    const key = order.parse(text);
    if (key !== undefined) found.push(key);
  }
  expect(found.length).toBeGreaterThan(100);
  for (let round = 0; round < 5_000; round += 1) {
    const [one, other] = [pick(random, found), pick(random, found)];
    expect(order.compare(one, one)).toBe(0);
    expect(Math.sign(order.compare(one, other)) + Math.sign(order.compare(other, one))).toBe(0);
  }
});
