import { expect, it } from 'vitest';
import { distributionAt } from '../src/shared/distribution.js';

it.each([
  ['/rocky/9/BaseOS/x86_64/os', 'rocky-linux-9'],
  ['/pub/rocky/9.4/AppStream/x86_64/os', 'rocky-linux-9'],
  ['/almalinux/8/BaseOS', 'almalinux-8'],
  ['/distribution/leap/15.6/repo/oss', 'opensuse-Leap 15.6'],
  ['/alpine/v3.20/main/x86_64', 'alpine-3.20'],
  ['/alpine/edge/main/x86_64', undefined],
  ['/fedora/42/Everything', undefined],
  ['/9/rocky', undefined],
])('the distribution at %s is %s', (place, expected) => {
  expect(distributionAt(place)).toBe(expected);
});
