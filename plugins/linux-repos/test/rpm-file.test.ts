import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { XmlReader } from '@entrepot/core/formats';
import { pseudoRandom } from '@entrepot/core/testing';
import { documentOf, withPackages } from '../src/rpm/hosted/lists.js';
import { LISTS } from '../src/rpm/hosted/keys.js';
import { readRpm, type RpmFile } from '../src/rpm/hosted/rpm-file.js';
import { contentOf } from './rpm-fixtures.js';
import { rpm } from './rpm-file-fixtures.js';

const TIME = 1_796_000_000;

async function read(bytes: Uint8Array, piece = 1 << 20): Promise<RpmFile> {
  return await readRpm(contentOf(bytes, piece), TIME);
}

/** The elements of a document: their paths, attributes and texts, with those of each package together. */
function elementsOf(document: Uint8Array | string): string[] {
  const found: string[][] = [];
  const reader = new XmlReader('a document', {
    open(path, attributes) {
      if (/^\/\w+\/package$/.test(path)) found.push([]);
      found.at(-1)?.push(`${path} ${JSON.stringify(Object.entries(attributes).sort())}`);
    },
    close(path, text) {
      found.at(-1)?.push(`${path}=${text}`);
    },
  });
  reader.write(Buffer.from(document as Uint8Array));
  reader.end();
  return found.map((lines) => lines.join('\n')).sort();
}

const SPEC = `Name: hello-libs
Epoch: 2
Version: 1.0~rc1^git
Release: 3.el9
Summary: Says hello & <more> "quoted"
License: MIT
URL: https://example.com/?a=1&b=2
Vendor: Example "Corp"
Group: Applications/Text
Packager: CI <ci@example.com>
Provides: hello = 1.0, /usr/bin/odd
Requires: bash >= 4, (foo or bar >= 1), /bin/sh, hello = 1.0, /usr/bin/hello, odd = 1:2-3
Requires(post): coreutils
Conflicts: goodbye < 3:2
Obsoletes: hi <= 1-2, ho > 3
Recommends: rec > 1
Suggests: sug
Supplements: sup
Enhances: enh = 1:2-3
%description
Says hello ]]> & "more".

  Ünïcode 	tab
%package -n hello-doc
Summary: Documents
BuildArch: noarch
%description -n hello-doc
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/hello "%{buildroot}/usr/share/he llo" %{buildroot}/var/log
printf '#include <stdio.h>\\nint main(int c, char **v) { return printf("%%d %%s", c, v[0]) + fileno(stdin); }' > hello.c
cc -O2 -D_FORTIFY_SOURCE=2 hello.c -o %{buildroot}/usr/bin/hello
echo hi > %{buildroot}/etc/hello/conf
echo hi > "%{buildroot}/usr/share/he llo/a&b<c>"
touch %{buildroot}/var/log/hello.log
ln -s hello %{buildroot}/usr/bin/hi
%post
true
%files
/usr/bin/*
%dir /etc/hello
%config /etc/hello/conf
"/usr/share/he llo"
%ghost /var/log/hello.log
%files -n hello-doc
%changelog
${Array.from({ length: 12 }, (_, index) => `* Tue Jan 06 2026 A & <a@example.com> - 1.0-${12 - index}\n- change ${12 - index} of <x>\n`).join('')}`;

/** A folder with packages that rpmbuild made, and lists that createrepo_c made of them. */
function made({ skip }: TestContext): string {
  for (const program of ['rpmbuild', 'createrepo_c', 'cc']) {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`]);
    } catch {
      skip(`no ${program} on this machine`);
    }
  }
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-rpm-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'hello.spec'), SPEC);
  mkdirSync(join(folder, 'Packages'));
  const places = [
    'topdir build',
    'rpmdir Packages',
    'srcrpmdir Packages',
    'build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
  ];
  const defines = places.flatMap((place) => ['--define', `_${place.replace(/ (\w+)$/, ` ${folder}/$1`)}`]);
  execFileSync('rpmbuild', ['-ba', '--quiet', ...defines, 'hello.spec'], { cwd: folder, stdio: 'pipe' });
  // The time that a list says is that of the file.
  for (const file of readdirSync(join(folder, 'Packages'))) utimesSync(join(folder, 'Packages', file), TIME, TIME);
  execFileSync('createrepo_c', ['--quiet', '.'], { cwd: folder, stdio: 'pipe' });
  return folder;
}

describe('readRpm', () => {
  it('reads what createrepo_c reads of packages that rpmbuild made', async (test) => {
    const folder = made(test);
    const files = readdirSync(join(folder, 'Packages'));
    expect(files.length).toBeGreaterThanOrEqual(3);
    const edits = await Promise.all(
      files.map(async (file) => {
        const bytes = readFileSync(join(folder, 'Packages', file));
        const { elements, nevra, sourceRpm } = await read(bytes, 1000);
        expect(file).toBe(`${nevra.name}-${nevra.version}-${nevra.release}.${nevra.architecture}.rpm`);
        expect(sourceRpm).toBe(nevra.architecture === 'src' ? '' : 'hello-libs-1.0~rc1^git-3.el9.src.rpm');
        return { file, elements };
      }),
    );
    for (const name of LISTS) {
      const { list, more } = withPackages(Buffer.alloc(0), name, edits)!;
      expect(more).toBe(files.length);
      const document = readdirSync(join(folder, 'repodata')).find((one) => one.endsWith(`-${name}.xml.gz`))!;
      const expected = gunzipSync(readFileSync(join(folder, 'repodata', document)));
      expect(elementsOf(documentOf(list, name, files.length))).toEqual(elementsOf(expected));
    }
  });

  it('reads packages in any pieces', async () => {
    const bytes = rpm({ name: 'hello', texts: { vendor: 'x' } });
    const whole = await read(bytes);
    for (const piece of [1, 7, 96, 4096]) expect(await read(bytes, piece)).toEqual(whole);
    expect(whole).toMatchObject({ nevra: { name: 'hello', version: '1.0', release: '1', architecture: 'x86_64' } });
  });

  it('writes texts that XML can have', async () => {
    const { elements } = await read(rpm({ texts: { summary: 'a\u{1}\u{1b}b\u{fffe}\r]]>', description: 'é' } }));
    expect(elements.primary).toContain('<summary>ab&#13;]]&gt;</summary>');
    const latin = await read(rpm({ bytes: { description: Buffer.from('caf\u{e9} <', 'latin1') } }));
    expect(latin.elements.primary).toContain('<description>café &lt;</description>');
    for (const element of Object.values(elements)) expect(elementsOf(`<all>${element}</all>`)).toHaveLength(1);
  });

  it('refuses headers with any wrong bytes, or writes what XML can have', async () => {
    const random = pseudoRandom(11);
    const below = (most: number): number => Math.floor(random() * most);
    const files = { folder: '/usr/bin/', names: ['a', 'b'] };
    let refused = 0;
    for (let round = 0; round < 1500; round += 1) {
      const entries = (header: Buffer): Buffer => {
        // The magic, and the sizes, are what other tests are about.
        for (let count = below(3); count >= 0; count -= 1) header[16 + below(header.length - 16)] = below(256);
        return header;
      };
      try {
        const { elements } = await read(rpm({ files, strings: { 1118: ['/usr/bin/'] }, entries }));
        for (const element of Object.values(elements)) expect(elementsOf(`<all>${element}</all>`)).toHaveLength(1);
      } catch (error) {
        expect(error).toMatchObject({ kind: 'bad-request' });
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(300);
    expect(refused).toBeLessThan(1400);
  });

  it('reads a header with a hundred thousand files', async () => {
    const files = Array.from({ length: 100_000 }, (_, index) => `file-${index}`);
    const { elements } = await read(rpm({ files: { folder: '/usr/bin/', names: files } }));
    expect(elements.filelists.match(/<file>/g)?.length).toBe(100_000);
    expect(elements.primary).toContain('    <file>/usr/bin/file-99999</file>\n');
  });

  const damaged = rpm({ name: 'hello' });
  damaged[damaged.length - 1]! ^= 1;
  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', Buffer.alloc(0), /ends too early/],
    ['a page', Buffer.from('<html>'.repeat(40)), /magic of RPM/],
    ['the beginning of one', rpm({}).subarray(0, 300), /ends too early/],
    ['a lead alone', Buffer.concat([rpm({}).subarray(0, 96), Buffer.alloc(500)]), /expected its signature header/],
    ['an old one', Buffer.concat([Buffer.from('edabeedb02', 'hex'), rpm({}).subarray(5)]), /version 2/],
    ['a damaged payload', damaged, /its payload has the SHA-256 .* damaged/],
    ['a damaged header', rpm({ sum: 'ab'.repeat(32) }), /its header has the SHA-256 .* damaged/],
    ['a header of 4 GiB', rpm({ entries: (index) => (index.writeUInt32BE(0xff_ff_ff_ff, 12), index) }), /larger than/],
    [
      'as many entries',
      rpm({ entries: (index) => (index.writeUInt32BE(0xff_ff_ff_ff, 8), index) }),
      /entries, expected/,
    ],
    ['no entries', rpm({ entries: (index) => (index.writeUInt32BE(0, 8), index) }), /0 entries, expected/],
    [
      'an offset elsewhere',
      rpm({ entries: (index) => (index.writeUInt32BE(99_999, 16 + 8), index) }),
      /not within its header/,
    ],
    [
      'too many values',
      rpm({ entries: (index) => (index.writeUInt32BE(0x7f_ff_ff_ff, 16 + 12), index) }),
      /not within|expected one/,
    ],
    ['a type that is none', rpm({ entries: (index) => (index.writeUInt32BE(12, 16 + 4), index) }), /has the type 12/],
    [
      'a number for a name',
      rpm({ entries: (index) => (index.writeUInt32BE(4, 16 + 4), index) }),
      /1000 .*expected a text/,
    ],
    [
      'an entry twice',
      rpm({ entries: (index) => (index.writeUInt32BE(1000, 32), index) }),
      /1000 of its header twice|1000 twice/,
    ],
    ['a text without an end', rpm({ end: Buffer.from('x') }), /without an end/],
    ['no version', rpm({ without: [1001] }), /no version/],
    ['a name with a slash', rpm({ name: 'a/../b' }), /the name "a\/\.\.\/b"/],
    ['a version with a dash', rpm({ version: '1-2' }), /the version "1-2"/],
    ['a version with a quote', rpm({ version: '1"' }), /the version/],
    [
      'files without folders',
      rpm({ files: { folder: '/', names: ['x'] }, without: [1118] }),
      /in a folder that it has not/,
    ],
    ['files without modes', rpm({ files: { folder: '/', names: ['x'] }, without: [1030] }), /1 files, and 0 values/],
    ['a long path', rpm({ files: { folder: `/${'x'.repeat(4096)}/`, names: ['x'] } }), /4096 at most/],
    [
      'many long paths',
      rpm({ files: { folder: `/${'x'.repeat(4000)}/`, names: Array.from({ length: 20_000 }, () => 'x') } }),
      /more than 67108864/,
    ],
    ['names without versions', rpm({ strings: { 1047: ['x'] } }), /1 names of provides/],
    ['changes without texts', rpm({ numbers: { 1080: [1] } }), /1 times of changes/],
  ] satisfies [string, Uint8Array, RegExp][])('refuses %s', async (_what, bytes, message) => {
    const error = await read(bytes).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ kind: 'bad-request', message: expect.stringMatching(message) as string });
  });
});
