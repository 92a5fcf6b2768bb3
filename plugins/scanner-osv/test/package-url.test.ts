import { describe, expect, it } from 'vitest';
import { parsePackageUrl } from '../src/package-url.js';

describe('parsePackageUrl', () => {
  it.each([
    ['pkg:npm/%40acme/x@1.0.0', { ecosystem: 'npm', name: '@acme/x', version: '1.0.0' }],
    ['pkg:npm/@acme/x@1.0.0', { ecosystem: 'npm', name: '@acme/x', version: '1.0.0' }],
    ['pkg:npm/@acme/x', { ecosystem: 'npm', name: '@acme/x', version: undefined }],
    ['pkg:npm/@acme', undefined],
    ['pkg://PyPI/requests@2.0?x=y#sub', { ecosystem: 'pypi', name: 'requests', version: '2.0' }],
    ['pkg:golang/example.com/a@v1.0.0', { ecosystem: 'golang', name: 'example.com/a', version: 'v1.0.0' }],
    [
      'pkg:deb/debian/libcurl4@7.1?distro=debian-12&upstream=curl',
      { ecosystem: 'deb', name: 'debian-12/curl', version: '7.1' },
    ],
    ['pkg:npm', undefined],
    ['pkg:npm/%zz', undefined],
    [`pkg:p/${'@'.repeat(200_000)}`, undefined],
    [`pkg:p/@/${':@p'.repeat(65_000)}kg:p/@/#`, undefined],
  ])('%.60s', (text, wanted) => expect(parsePackageUrl(text)).toEqual(wanted));
});
