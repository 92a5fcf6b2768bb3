import { packTar, paxRecord, type TarMember } from '@entrepot/core/testing';
import { createHash } from 'node:crypto';
import { createGzip, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readChart, readValues, templatesJson } from '../src/chart-archive.js';
import { ChartError } from '../src/chart-error.js';
import { chart, stream, text } from './fixtures.js';

/** Bytes that gzip cannot make smaller. */
const NOISE = Buffer.concat(Array.from({ length: 200 }, (_, at) => createHash('sha256').update(`${at}`).digest()));

const CHART = 'apiVersion: v2\nname: x\nversion: 1.0.0\n';
const LONG = `x/templates/${'long/'.repeat(30)}a.yaml`;

function read(bytes: Uint8Array): Promise<unknown> {
  return readChart(stream(bytes));
}

function packed(...members: TarMember[]): Buffer {
  return gzipSync(packTar(members));
}

describe('the metadata of a chart', () => {
  it('is read as helm reads it', async () => {
    const yaml = `
apiVersion: v2
name: x
version: 1.0.0
appVersion: 1.10
deprecated: false
Description: "two\\nlines\\u0007"
keywords: [a, 2, yes]
annotations: {b: 1e3, a: true, c: null, n: 1.0}
maintainers:
  - name: One
    url: https://example.com
unknown: [{x: y}]
dependencies:
  - name: redis
    version: "^17"
    repository: oci://registry.example.com/charts
    alias: cache
    import-values: [data, {child: a, parent: b}]
type: application
`;
    expect(await read(chart({ 'Chart.yaml': yaml }))).toEqual({
      apiVersion: 'v2',
      name: 'x',
      version: '1.0.0',
      appVersion: '1.1',
      description: 'two lines',
      keywords: ['a', '2', 'true'],
      annotations: { a: 'true', b: '1000', c: '', false: '1' },
      maintainers: [{ name: 'One', url: 'https://example.com' }],
      dependencies: [
        {
          name: 'redis',
          version: '^17',
          repository: 'oci://registry.example.com/charts',
          alias: 'cache',
          'import-values': ['data', { child: 'a', parent: 'b' }],
        },
      ],
      type: 'application',
    });
  });

  it.each([
    ['1e3', '1000'],
    ['1e6', '1e+06'],
    ['1.10', '1.1'],
    ['2024-01-02', '2024-01-02'],
    ['12:30:45', '12:30:45'],
    ['0123', '83'],
    ['0x1F', '31'],
    ['1_000', '1000'],
    ['9007199254740993', '9007199254740993'],
    ['123456789.5', '1.2345679e+08'],
    ['0.00001', '1e-05'],
    ['-0.5', '-0.5'],
    ['on', 'true'],
    ['"1.10"', '1.10'],
    ['v1.0', 'v1.0'],
    ['.5', '0.5'],
    ['12e4567', '12e4567'],
    ['3.4e39', '+Inf'],
    ['-.inf', '-Inf'],
    ['.nan', 'NaN'],
    ['999999.9', '999999.9'],
    ['16777217.5', '1.6777218e+07'],
  ])('writes appVersion %s as %s', async (written, found) => {
    const yaml = `${CHART}appVersion: ${written}\n`;
    expect(await read(chart({ 'Chart.yaml': yaml }))).toMatchObject({ appVersion: found });
  });

  it('takes a chart without apiVersion for v1, with its requirements', async () => {
    const files = {
      'templates/a.yaml': 'a: {{ .b }}',
      'requirements.yaml': 'dependencies: [{name: redis, version: 1.0.0, repository: "https://charts.example.com"}]',
      'Chart.yaml': 'name: x\nversion: 1.0.0\n',
    };
    expect(await read(chart(files))).toEqual({
      apiVersion: 'v1',
      name: 'x',
      version: '1.0.0',
      dependencies: [{ name: 'redis', version: '1.0.0', repository: 'https://charts.example.com' }],
    });
  });

  it.each([
    ['1.0.0+b.1', '1.0.0+b.1'],
    ['v1.0.0', 'v1.0.0'],
    ['"1.0"', '1.0'],
    ['1.10', '1.1'],
    ['1.0.0-12', '1.0.0-12'],
    ['2-3', '2-3'],
    ['3', '3'],
  ])('takes the version %s', async (written, version) => {
    expect(await read(chart({ 'Chart.yaml': `name: a-1\nversion: ${written}\n` }))).toMatchObject({
      name: 'a-1',
      version,
    });
  });

  it('reads UTF-8 with a mark, and UTF-16', async () => {
    const wide = Buffer.from(`\ufeff${CHART}`, 'utf16le');
    const encodings = [Buffer.from(`\ufeff${CHART}`), wide, Buffer.from(wide).swap16()];
    for (const bytes of encodings) expect(await read(chart({ 'Chart.yaml': bytes }))).toMatchObject({ name: 'x' });
  });

  it.each([
    ['no name', 'version: 1.0.0\n', /name of a chart, found ""/],
    ['a name that leads out', 'name: ../../x\nversion: 1.0.0\n', /name of a chart/],
    ['a name of dots', 'name: ".."\nversion: 1.0.0\n', /name of a chart/],
    ['a name with a backslash', 'name: a\\b\nversion: 1.0.0\n', /name of a chart/],
    ['a name with a newline', 'name: "a\\nb"\nversion: 1.0.0\n', /name of a chart/],
    ['a version with a newline', 'name: x\nversion: "1.0.0\\n"\n', /version of semver.org/],
    ['a version that leads out', 'name: x\nversion: ../1.0.0\n', /version of semver.org/],
    ['no version', 'name: x\n', /version of semver.org, found ""/],
    ['a version that is a mapping', 'name: x\nversion: {a: 1}\n', /version of semver.org/],
    ['another type', `${CHART}type: plugin\n`, /application or library/],
    ['an empty maintainer', `${CHART}maintainers: [null]\n`, /maintainers: expected mappings/],
    ['an empty dependency', `${CHART}dependencies: [null]\n`, /dependencies: expected mappings/],
    ['a dependency twice', `${CHART}dependencies: [{name: a}, {name: a}]\n`, /more than one dependency/],
    ['an alias with a slash', `${CHART}dependencies: [{name: a, alias: ../a}]\n`, /alias of letters/],
    ['deprecated with text', `${CHART}deprecated: "false"\n`, /deprecated: expected true or false/],
    ['a list of lists', `${CHART}keywords: [[a]]\n`, /keywords: expected text/],
    ['no mapping', '- a\n', /Chart.yaml: expected a mapping/],
    ['tabs', 'name: x\n\tversion: 1.0.0\n', /Chart.yaml: malformed YAML in line 2/],
    ['no UTF-8', Buffer.from('name: \xff\n', 'latin1'), /expected text in UTF-8/],
    ['UTF-16 without a mark', Buffer.from(CHART, 'utf16le'), /malformed YAML|expected/],
    ['nested too deep', `${CHART}annotations: ${'['.repeat(5000)}`, /malformed YAML/],
    ['too large', `${CHART}# ${'x'.repeat(300_000)}`, /expected 262144 bytes at most/],
  ])('is refused with %s', async (_, yaml, message) => {
    await expect(read(chart({ 'Chart.yaml': yaml }))).rejects.toThrow(message);
    await expect(read(chart({ 'Chart.yaml': yaml }))).rejects.toBeInstanceOf(ChartError);
  });

  it('does not grow with aliases', async () => {
    const laughs = ['a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]'];
    for (const [at, key] of [...'bcdefghi'].entries()) {
      laughs.push(`${key}: &${key} [${Array.from({ length: 9 }, () => `*${'abcdefgh'[at]}`).join(', ')}]`);
    }
    const yaml = `${laughs.join('\n')}\n${CHART}dependencies: [{name: a, import-values: *i}]\n`;
    await expect(read(chart({ 'Chart.yaml': yaml }))).rejects.toThrow('expands to more than is allowed');
    const plain = `long: &long ${'x'.repeat(100_000)}\n${CHART}keywords: [${'*long, '.repeat(50)}]\n`;
    await expect(read(chart({ 'Chart.yaml': plain }))).rejects.toThrow('expands to more than is allowed');
  });

  it('has no prototype to be set', async () => {
    const yaml = `__proto__: {version: 6.6.6, name: evil}\nname: x\nversion: 1.0.0\nannotations: {__proto__: a}\n`;
    const metadata = (await readChart(stream(chart({ 'Chart.yaml': yaml })))) as unknown as Record<string, unknown>;
    expect([metadata['name'], metadata['version']]).toEqual(['x', '1.0.0']);
    expect(Object.getPrototypeOf(metadata['annotations'])).toBe(Object.prototype);
  });
});

describe('an archive', () => {
  const good: TarMember = { name: 'x/Chart.yaml', content: CHART };

  it.each<[string, Buffer]>([
    ['with Chart.yaml last', packed({ name: 'x/values.yaml', content: 'a: 1' }, { name: 'x/', type: '5' }, good)],
    ['with charts inside', packed({ name: 'x/charts/y/Chart.yaml', content: 'name: y\nversion: 2.0.0\n' }, good)],
    ['with GNU long names', packed({ name: '././@LongLink', type: 'L', content: `${LONG}\0` }, { name: 'cut' }, good)],
    ['with pax headers', packed({ name: 'p', type: 'x', content: paxRecord('path', LONG) }, { name: 'cut' }, good)],
    ['with a global comment', packed({ name: 'g', type: 'g', content: paxRecord('comment', 'abc') }, good)],
    ['of GNU tar', packed({ ...good, gnu: true })],
    ['of old tar', packed({ ...good, type: '\0' })],
    ['made on Windows', packed({ name: 'x\\Chart.yaml', content: CHART })],
    ['in two gzip members', Buffer.concat([gzipSync(packTar([good], Buffer.alloc(0))), gzipSync(Buffer.alloc(1024))])],
    ['padded to ten KiB', gzipSync(packTar([good], Buffer.alloc(10_240)))],
  ])('%s is read', async (_, bytes) => {
    expect(await read(bytes)).toEqual({ apiVersion: 'v2', name: 'x', version: '1.0.0' });
    expect(await readChart(stream(bytes, 1))).toMatchObject({ name: 'x' });
  });

  it.each<[string, Buffer, RegExp]>([
    ['no gzip', Buffer.from('<html>login</html>'), /expected a gzipped archive$/],
    ['nothing', Buffer.alloc(0), /expected a gzipped archive$/],
    ['cut off', packed(good).subarray(0, 100), /gzipped archive that is whole/],
    ['cut off in its Chart.yaml', chart({ 'Chart.yaml': NOISE }).subarray(0, 2000), /gzipped archive that is whole/],
    ['a cut archive', gzipSync(packTar([good]).subarray(0, 520)), /ends too early/],
    ['without an end', gzipSync(packTar([good], Buffer.alloc(0))), /ends too early/],
    ['no tar', gzipSync(Buffer.alloc(2000, 'x')), /malformed header/],
    ['empty', gzipSync(Buffer.alloc(1024)), /found none/],
    ['without Chart.yaml', packed({ name: 'x/values.yaml' }), /found none/],
    ['a Chart.yaml without folder', packed({ name: 'Chart.yaml', content: CHART }), /all files in one folder/],
    ['two Chart.yaml', packed(good, { name: 'x/./Chart.yaml', content: CHART }), /one Chart.yaml in the chart/],
    ['two folders', packed(good, { name: 'y/Chart.yaml', content: CHART }), /one Chart.yaml in the chart/],
    ['metadata in requirements.yaml', packed(good, { name: 'x/requirements.yaml', content: 'Name: y' }), /alone/],
    ['an absolute name', packed(good, { name: '/etc/passwd' }), /inside of the folder/],
    ['a name that leads out', packed(good, { name: 'x/../../etc/passwd' }), /inside of the folder/],
    ['a name that leads back', packed({ name: 'x/templates/../Chart.yaml', content: CHART }), /inside of the folder/],
    ['a name that leads out on Windows', packed(good, { name: 'x\\..\\..\\evil' }), /inside of the folder/],
    ['a drive', packed(good, { name: 'x/c:/evil' }), /inside of the folder/],
    ['a link', packed({ name: 'x/Chart.yaml', type: '2' }), /files and folders alone/],
    ['a hard link', packed(good, { name: 'x/a', type: '1' }), /files and folders alone/],
    ['a device', packed(good, { name: 'x/a', type: '3' }), /files and folders alone/],
    ['a sparse file', packed({ ...good, type: 'S' }), /files and folders alone/],
    [
      'a sparse file of pax',
      packed({ name: 'p', type: 'x', content: paxRecord('GNU.sparse.map', '0') }, good),
      /sparse/,
    ],
    ['a global name', packed({ name: 'g', type: 'g', content: paxRecord('path', 'x/a') }, good), /global header/],
    ['a bad pax header', packed({ name: 'p', type: 'x', content: '99 path=a\n' }, good), /malformed pax/],
    [
      'a huge pax header',
      packed({ name: 'p', type: 'x', size: 1_000_000_000 }, good),
      /header of the archive is too large/,
    ],
    ['a file of a claimed GiB', packed({ ...good, size: 1024 ** 3 }), /5242880 bytes at most/],
    ['something behind the end', gzipSync(Buffer.concat([packTar([good]), packTar([good])])), /goes on after its end/],
    [
      'too many files',
      packed(...Array.from({ length: 10_001 }, (_, at) => ({ name: `x/${at}` })), good),
      /10000 files/,
    ],
  ])('%s is refused', async (_, bytes, message) => {
    await expect(read(bytes)).rejects.toThrow(message);
    await expect(read(bytes)).rejects.toBeInstanceOf(ChartError);
  });

  it.each<[string, Buffer, number, RegExp]>([
    ['a GiB of zeros behind the end', packTar([good], Buffer.alloc(1024)), 1024, /104857600 bytes at most, unpacked/],
    ['many large files', Buffer.alloc(0), 0, /104857600 bytes at most, unpacked/],
  ])('does not unpack %s', async (_, start, zeroMiB, message) => {
    const file = packTar([{ name: 'x/files/a', content: Buffer.alloc(5 * 1024 * 1024) }], Buffer.alloc(0));
    const zeros = Buffer.alloc(1024 * 1024);
    const gzip = createGzip({ level: 1 }).setMaxListeners(0);
    let given = 0;
    const unpacked = (async function* () {
      yield start;
      const [piece, count] = zeroMiB === 0 ? [file, 40] : [zeros, zeroMiB];
      for (; given < count; given += 1) yield piece;
    })();
    const feeding = (async () => {
      for await (const piece of unpacked) {
        if (gzip.destroyed) return;
        if (piece.length > 0 && !gzip.write(piece)) await drained(gzip);
      }
      gzip.end();
    })();
    await expect(readChart(gzip)).rejects.toThrow(message);
    gzip.destroy();
    await feeding;
    expect(given * (zeroMiB === 0 ? 5 : 1)).toBeLessThan(150);
  });

  it('ends the stream that it was given', async () => {
    let ended = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        yield packed(good).subarray(0, 20);
        for (;;) yield Buffer.alloc(1000, 'x');
      } finally {
        ended = true;
      }
    }
    await expect(readChart(endless())).rejects.toBeInstanceOf(ChartError);
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBe(true);
  });
});

describe('what is inside of a chart', () => {
  it('is given as ChartMuseum gives it', async () => {
    const files = {
      'Chart.yaml': CHART,
      'values.yaml': '\ufeffa: 1\nb: [yes, 0x10, "1.10"]\nbig: 9007199254740993\n',
      'templates/a.yaml': 'kind: {{ .x }}\n',
      'templates/sub/NOTES.txt': '',
      'charts/y/templates/b.yaml': 'no',
    };
    expect(JSON.parse(await text(templatesJson(stream(chart(files)))))).toEqual({
      templates: [
        { name: 'templates/a.yaml', data: Buffer.from('kind: {{ .x }}\n').toString('base64') },
        { name: 'templates/sub/NOTES.txt', data: '' },
      ],
      values: { a: 1, b: [true, 16, '1.10'], big: 9007199254740992 },
    });
    expect((await readValues(stream(chart(files))))?.toString()).toBe(
      'a: 1\nb: [yes, 0x10, "1.10"]\nbig: 9007199254740993\n',
    );
  });

  it('may be nothing', async () => {
    const bytes = chart({ 'Chart.yaml': CHART });
    expect(await text(templatesJson(stream(bytes)))).toBe('{"templates":[],"values":{}}');
    expect(await readValues(stream(bytes))).toBeUndefined();
  });

  it('does not grow with aliases', async () => {
    const laughs = ['a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]'];
    for (const [at, key] of [...'bcdefghi'].entries()) {
      laughs.push(`${key}: &${key} [${Array.from({ length: 9 }, () => `*${'abcdefgh'[at]}`).join(', ')}]`);
    }
    const bytes = chart({ 'Chart.yaml': CHART, 'values.yaml': laughs.join('\n') });
    await expect(text(templatesJson(stream(bytes)))).rejects.toThrow('expands to more than is allowed');
  });
});

async function drained(gzip: NodeJS.EventEmitter): Promise<void> {
  await new Promise((resolve) => gzip.once('drain', resolve).once('close', resolve));
}
