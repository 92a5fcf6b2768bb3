import { describe, expect, it } from 'vitest';
import { ChartPaths, locateChart, provenanceUrl, relativeUrl } from '../src/chart-url.js';

const INDEX = 'https://charts.example.com/stable/index.yaml';

describe('where a URL of an index leads', () => {
  it.each([
    ['beside the index', 'x-1.0.0.tgz', 'https://charts.example.com/stable/x-1.0.0.tgz'],
    ['in a folder', 'charts/x-1.0.0.tgz', 'https://charts.example.com/stable/charts/x-1.0.0.tgz'],
    ['above', '../x-1.0.0.tgz', 'https://charts.example.com/x-1.0.0.tgz'],
    ['above the root', '../../../x.tgz', 'https://charts.example.com/x.tgz'],
    ['from the root', '/other/x.tgz', 'https://charts.example.com/other/x.tgz'],
    ['on the same host', 'https://charts.example.com/a/x.tgz', 'https://charts.example.com/a/x.tgz'],
    [
      'on another host',
      'https://releases.example.org/download/v1/x.tgz',
      'https://releases.example.org/download/v1/x.tgz',
    ],
    ['without its scheme', '//cdn.example.org/x.tgz', 'https://cdn.example.org/x.tgz'],
    ['in capitals', 'HTTPS://CDN.example.org/X.tgz', 'https://cdn.example.org/X.tgz'],
    ['without TLS, with a port', 'http://cdn.example.org:8080/x.tgz', 'http://cdn.example.org:8080/x.tgz'],
    ['with a plus', 'x-1.0.0+b.1.tgz', 'https://charts.example.com/stable/x-1.0.0+b.1.tgz'],
    ['with an escaped plus', 'x-1.0.0%2Bb.1.tgz', 'https://charts.example.com/stable/x-1.0.0%2Bb.1.tgz'],
    ['with a blank', 'my chart.tgz', 'https://charts.example.com/stable/my%20chart.tgz'],
    ['with blanks around', ' x.tgz ', 'https://charts.example.com/stable/x.tgz'],
    ['with a colon', 'x-1.0.0:amd64.tgz', 'https://charts.example.com/stable/x-1.0.0:amd64.tgz'],
    ['with a backslash', '..\\x.tgz', 'https://charts.example.com/stable/..%5Cx.tgz'],
    ['with a signature', 'https://s3.example.org/x.tgz?sig=a%2Fb&e=1', 'https://s3.example.org/x.tgz?sig=a%2Fb&e=1'],
    ['with a fragment', 'x.tgz#readme', 'https://charts.example.com/stable/x.tgz'],
    ['of another name', 'releases/42', 'https://charts.example.com/stable/releases/42'],
  ])('%s', (_, reference, url) => {
    expect(locateChart(reference, INDEX, '1.0.0')).toBe(url);
  });

  it.each([
    ['x.tgz', 'https://charts.example.com/x.tgz?token=t'],
    ['x.tgz?own=1', 'https://charts.example.com/x.tgz?own=1'],
    ['https://cdn.example.org/x.tgz', 'https://cdn.example.org/x.tgz'],
    ['//cdn.example.org/x.tgz', 'https://cdn.example.org/x.tgz'],
  ])('gives %s the query of the index only where it is relative', (reference, url) => {
    expect(locateChart(reference, 'https://charts.example.com/index.yaml?token=t', '1.0.0')).toBe(url);
  });

  it.each([
    ['oci://registry.example.com/charts/nginx:1.2.3', 'oci://registry.example.com/charts/nginx:1.2.3'],
    ['oci://registry.example.com:5000/nginx', 'oci://registry.example.com:5000/nginx:1.0.0_b.1'],
    [
      `OCI://registry.example.com/a/b@sha256:${'0'.repeat(64)}`,
      `oci://registry.example.com/a/b@sha256:${'0'.repeat(64)}`,
    ],
    [`oci://[::1]:5000/a__b:t@sha256:${'1'.repeat(64)}`, `oci://[::1]:5000/a__b@sha256:${'1'.repeat(64)}`],
  ])('%s', (url, found) => {
    expect(locateChart(url, INDEX, '1.0.0+b.1')).toBe(found);
  });

  it.each([
    '',
    ' ',
    's3://bucket/x.tgz',
    'gs://bucket/x.tgz',
    'cm://charts.example.com/x.tgz',
    'file:///etc/passwd',
    'javascript://x/%0aalert(1)',
    'https://',
    'http://exa mple.com/x.tgz',
    'x\n.tgz',
    'x\t.tgz',
    'x\0.tgz',
    'oci://registry.example.com',
    'oci://registry.example.com/UPPER',
    'oci://user:password@registry.example.com/x',
    'oci://registry.example.com/../x:1',
  ])('nowhere: %j', (reference) => expect(locateChart(reference, INDEX, '1.0.0')).toBeUndefined());
});

describe('provenance', () => {
  it.each([
    ['https://charts.example.com/x-1.0.0+b.tgz', 'https://charts.example.com/x-1.0.0+b.tgz.prov'],
    ['https://charts.example.com/x%2B1', 'https://charts.example.com/x%2B1.prov'],
    ['https://s3.example.org/x.tgz?sig=a%2Fb', 'https://s3.example.org/x.tgz.prov?sig=a%2Fb'],
  ])('of %s', (url, found) => expect(provenanceUrl(url)).toBe(found));
});

describe('paths of ours', () => {
  it('are escaped but for the plus', () => {
    expect(relativeUrl(['charts', 'x-1.0.0+b.1.tgz'])).toBe('charts/x-1.0.0+b.1.tgz');
    expect(relativeUrl(['charts', 'a b?c#d%2B:é-1.tgz'])).toBe('charts/a%20b%3Fc%23d%252B%3A%C3%A9-1.tgz');
  });

  it('are unique, with a suffix that depends on the version alone', () => {
    const paths = new ChartPaths();
    expect(paths.assign('a', '1-2.0.0', 'one')).toEqual(['charts', 'a-1-2.0.0.tgz']);
    const second = paths.assign('a-1', '2.0.0', 'two');
    expect(second).toEqual(['charts', expect.stringMatching(/^[0-9a-f]{12}$/), 'a-1-2.0.0.tgz']);
    expect(paths.assign('a-1', '2.0.0', 'three')).not.toEqual(second);
    // The same, listed under another name as well.
    expect(paths.assign('a-1', '2.0.0', 'two')).toEqual(second);
    const other = new ChartPaths();
    other.assign('a', '1-2.0.0', 'another');
    expect(other.assign('a-1', '2.0.0', 'two')).toEqual(second);
  });
});
