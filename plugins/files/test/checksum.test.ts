import { describe, expect, it } from 'vitest';
import { describeSums, readSidecar, readSums } from '../src/checksum.js';
import { contentOf } from './fixtures.js';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);

async function sumsOf(text: string): Promise<string[]> {
  const sums = await readSums(new TextEncoder().encode(text));
  return sums.map(({ integrity, name }) => `${integrity.algorithm}:${integrity.hex[0]} ${name ?? '-'}`);
}

describe('readSums', () => {
  it.each([
    ['the bare sum', A, ['sha256:a -']],
    ['the bare sum with a line end', `${A}\r\n`, ['sha256:a -']],
    ['upper case', A.toUpperCase(), ['sha256:a -']],
    ['text mode', `${A}  x.zip\n${B}  y.zip\n`, ['sha256:a x.zip', 'sha256:b y.zip']],
    ['binary mode', `${A} *x.zip\n`, ['sha256:a x.zip']],
    ['a name that begins with a star', `${A}  *x.zip\n`, ['sha256:a *x.zip']],
    ['one space', `${A} x.zip`, ['sha256:a x.zip']],
    ['a tab', `${A}\tx.zip`, ['sha256:a x.zip']],
    ['a name with spaces', `${A}  x y.zip`, ['sha256:a x y.zip']],
    ['an escaped name', `\\${A}  x\\\\y.zip`, ['sha256:a x\\y.zip']],
    ['BSD', `SHA256 (x (1).zip) = ${A}`, ['sha256:a x (1).zip']],
    ['OpenSSL', `SHA2-512(x.zip)= ${'c'.repeat(128)}`, ['sha512:c x.zip']],
    [
      'MD5, SHA-1, SHA-384',
      `${'1'.repeat(32)}\n${'2'.repeat(40)}\n${'3'.repeat(96)}`,
      ['md5:1 -', 'sha1:2 -', 'sha384:3 -'],
    ],
    ['a signed file', `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${A}  x.zip\n-----END`, ['sha256:a x.zip']],
    ['a byte order mark', `\uFEFF${A}  x.zip`, ['sha256:a x.zip']],
    ['unknown algorithms', `BLAKE2 (x) = ${A}\nSHA256 (x) = ${'a'.repeat(40)}\n${'a'.repeat(33)}  x`, []],
    ['a page', '<html><body>Sign in</body></html>', []],
    ['nothing', '', []],
  ])('%s', async (_, text, expected) => {
    expect(await sumsOf(text)).toEqual(expected);
  });

  it('takes linear time for lines that are made to be slow', async () => {
    const start = performance.now();
    const lines = [
      `${A}${' '.repeat(300_000)}\rx`,
      `SHA256 (${'('.repeat(300_000)}`,
      `SHA256 (${') = '.repeat(100_000)}`,
    ];
    expect(await sumsOf(lines.join('\n'))).toEqual([]);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe('describeSums', () => {
  async function described(key: string, sidecar: string, text: string): Promise<Record<string, string[]>> {
    const descriptions = await describeSums(key, [readSidecar(sidecar)], contentOf(text));
    const found = [...descriptions].map(([file, { integrity }]) => [file, integrity.map(({ hex }) => hex[0])]);
    return Object.fromEntries(found);
  }

  it.each<[string, string, string, string, Record<string, string[]>]>([
    ['a bare sum beside its file', 'd/x.zip.sha256', '.sha256', A, { 'd/x.zip': ['a'] }],
    ['a single line with another name', 'd/x.zip.sha256', '.sha256', `${A}  build/out.zip`, { 'd/x.zip': ['a'] }],
    ['several lines beside a file', 'd/x.zip.sha256', '.sha256', `${B}  y.zip\n${A}  ./d/x.zip`, { 'd/x.zip': ['a'] }],
    ['a list', 'd/SHA256SUMS', 'SHA256SUMS', `${A}  x.zip\n${B} *./e/y.zip`, { 'd/x.zip': ['a'], 'd/e/y.zip': ['b'] }],
    ['a list at the root', 'SUMS', '/SUMS', `${A}  d/x.zip`, { 'd/x.zip': ['a'] }],
    ['a list that is not the one at the root', 'd/SUMS', '/SUMS', `${A}  x.zip`, {}],
    ['two sums for one file', 'SUMS', 'SUMS', `${A}  x\n${'c'.repeat(128)}  x`, { x: ['a', 'c'] }],
    ['names outside', 'd/SUMS', 'SUMS', `${A}  ../x\n${A}  /etc/x\n${A}  .\n${B}  y`, { 'd/y': ['b'] }],
    ['names that keys escape', 'SUMS', 'SUMS', `${A}  50%?.zip`, { '50%25%3F.zip': ['a'] }],
    ['a query', 'x.zip.sha256?token=1', '.sha256', A, { 'x.zip?token=1': ['a'] }],
    ['a bare sum in a list', 'd/SUMS', 'SUMS', A, {}],
  ])('%s', async (_, key, sidecar, text, expected) => {
    expect(await described(key, sidecar, text)).toEqual(expected);
  });

  it.each(['<html>Sign in</html>', ''])('takes %j for an outage', async (text) => {
    await expect(described('x.zip.sha256', '.sha256', text)).rejects.toMatchObject({
      kind: 'upstream-unavailable',
      code: 'CHECKSUM_FILE_UNREADABLE',
    });
  });

  it('lets the event loop run while it reads a long list', async () => {
    const text = Array.from({ length: 30_000 }, (_, index) => `${A}  file-${index}`).join('\n');
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    const descriptions = await describeSums('SUMS', [readSidecar('SUMS')], contentOf(text));
    clearInterval(timer);
    expect(descriptions.size).toBe(30_000);
    expect(turns).toBeGreaterThan(2);
  });
});
