import { describe, expect, it } from 'vitest';
import { ruleFor } from '../src/rules.js';
import { optionsOf } from './fixtures.js';

async function ruleOf(written: Record<string, unknown>, path: string): Promise<string> {
  const { policy, label } = ruleFor((await optionsOf(written)).table, path);
  return `${policy} ${label}`;
}

describe('the first rule that matches wins', () => {
  const rules = [
    { match: 'private/**', policy: 'deny' },
    { match: '**/*.zip', policy: 'immutable' },
    { match: { regex: 'nightly' }, policy: 'bypass' },
    { match: { glob: '**/*.json' }, policy: 'revalidate' },
  ];

  it.each([
    ['private/a.zip', 'deny rules[0] "private/**"'],
    ['nightly/a.zip', 'immutable rules[1] "**/*.zip"'],
    ['x/nightly.json', 'bypass rules[2] "nightly"'],
    ['x/a.json', 'revalidate rules[3] "**/*.json"'],
    ['Private/a.txt', 'revalidate the default policy'],
  ])('%s: %s', async (path, expected) => {
    expect(await ruleOf({ rules }, path)).toBe(expected);
  });

  it('uses defaultPolicy for the rest', async () => {
    expect(await ruleOf({ rules, defaultPolicy: 'deny' }, 'x/a.txt')).toBe('deny defaultPolicy deny');
  });
});

describe('mutablePatterns and immutablePatterns', () => {
  const patterns = { immutablePatterns: ['x86_64/.*\\.rpm$'], mutablePatterns: ['repomd\\.xml$'] };

  it.each([
    ['el9/x86_64/a/b.rpm', /^immutable immutablePatterns\[0\]/],
    ['anything/el9/x86_64/b.rpm', /^immutable/],
    ['el9/repodata/repomd.xml', /^revalidate mutablePatterns\[0\]/],
    ['el9/x86_64/b.rpm.sig', /^deny no pattern of immutablePatterns/],
  ])('%s: %s', async (path, expected) => {
    expect(await ruleOf(patterns, path)).toMatch(expected);
  });

  it('lets mutable patterns win over immutable ones', async () => {
    expect(await ruleOf({ immutablePatterns: ['.'], mutablePatterns: ['latest'] }, 'latest.zip')).toMatch(
      /^revalidate/,
    );
  });

  it('lets rules win over both', async () => {
    const rules = [{ match: '**/*.xml', policy: 'bypass' }];
    expect(await ruleOf({ ...patterns, rules }, 'el9/repodata/repomd.xml')).toMatch(/^bypass/);
  });

  it('takes every path as immutable where only the mutable ones are named', async () => {
    expect(await ruleOf({ mutablePatterns: ['latest'] }, 'v1/a.zip')).toMatch(/^immutable/);
  });

  it('takes the keys in snake case', async () => {
    const written = { immutable_patterns: ['\\.zip$'], mutable_patterns: ['index'] };
    expect(await ruleOf(written, 'a.zip')).toMatch(/^immutable immutablePatterns/);
    expect(await ruleOf(written, 'index')).toMatch(/^revalidate mutablePatterns/);
    expect(await ruleOf(written, 'other')).toMatch(/^deny/);
  });
});

describe('hostile paths', () => {
  it.each([
    ['a regex with nested repeats', { match: { regex: '^(a+)+$' }, policy: 'deny' }, `${'a'.repeat(50_000)}!`],
    ['a glob with several stars', { match: '**/*-*-*-*-*.zip', policy: 'deny' }, '-'.repeat(50_000)],
    ['overlapping alternatives', { match: { regex: '(x|xx|x+)*y' }, policy: 'deny' }, 'x'.repeat(50_000)],
  ])('%s takes linear time', async (_, rule, path) => {
    const { table } = await optionsOf({ rules: [rule] });
    const start = performance.now();
    expect(ruleFor(table, path).policy).toBe('revalidate');
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe('presets', () => {
  it.each([
    ['github-releases', 'acme/tool/releases/download/v1.0+b/tool.zip', /^immutable/],
    ['github-releases', 'acme/tool/releases/latest/download/tool.zip', /^revalidate/],
    ['github-releases', 'acme/tool/archive/refs/tags/v1.zip', /^revalidate/],
    ['github-releases', 'acme/tool/settings', /^deny preset github-releases\[3\]/],
    ['nodejs-dist', 'v20.19.0/node-v20.19.0-linux-x64.tar.xz', /^immutable/],
    ['nodejs-dist', 'v20.19.0/win-x64/node.exe', /^immutable/],
    ['nodejs-dist', 'v20.19.0/SHASUMS256.txt', /^revalidate/],
    ['nodejs-dist', 'latest/node-v20.19.0-linux-x64.tar.xz', /^revalidate/],
    ['nodejs-dist', 'index.json', /^revalidate/],
    ['generic-mirror', 'pub/tool-1.2.3.tar.gz', /^immutable/],
    ['generic-mirror', 'pub/tool-latest.tar.gz', /^revalidate/],
    ['generic-mirror', 'pub/tool.tar.gz', /^revalidate/],
    ['alpine', 'v3.20/main/x86_64/APKINDEX.tar.gz', /^revalidate preset alpine\[0\]/],
    ['alpine', 'v3.20/main/x86_64/busybox-1.36.1-r29.apk', /^immutable preset alpine\[1\]/],
    ['alpine', 'v3.20/releases/x86_64/latest-releases.yaml', /^revalidate preset alpine\[2\]/],
    ['rpm', `9/os/repodata/${'a1'.repeat(32)}-primary.xml.gz`, /^immutable preset rpm\[0\]/],
    ['rpm', '9/os/repodata/repomd.xml', /^revalidate preset rpm\[1\]/],
    ['rpm', '9/os/repodata/primary.xml.gz', /^revalidate preset rpm\[1\]/],
    ['rpm', '9/os/Packages/b/bash-5.1.8-9.el9.x86_64.rpm', /^immutable preset rpm\[2\]/],
    ['debian', `dists/bookworm/main/binary-amd64/by-hash/SHA256/${'a1'.repeat(32)}`, /^immutable preset debian\[0\]/],
    ['debian', 'dists/bookworm/InRelease', /^revalidate preset debian\[1\]/],
    ['debian', 'Packages.gz', /^revalidate preset debian\[1\]/],
    ['debian', 'pool/main/b/bash/bash_5.2.15-2+b7_amd64.deb', /^immutable preset debian\[2\]/],
    ['debian', 'pool/main/b/bash/bash_5.2.15.orig.tar.xz', /^immutable preset debian\[3\]/],
  ])('%s: %s', async (preset, path, expected) => {
    expect(await ruleOf({ preset }, path)).toMatch(expected);
  });

  it("stand after the repository's own rules", async () => {
    const rules = [{ match: 'index.json', policy: 'bypass' }];
    expect(await ruleOf({ preset: 'nodejs-dist', rules }, 'index.json')).toMatch(/^bypass rules\[0\]/);
  });
});
