import { describe, expect, it } from 'vitest';
import { ChartError } from '../src/chart-error.js';
import { checkProvenance, LARGEST_PROVENANCE, readProvenance } from '../src/provenance.js';

const DIGEST = 'ab'.repeat(32);
const METADATA = 'apiVersion: v2\nname: x\nversion: 1.0.0+b.1\n';
const FILES = `files:\n  x-1.0.0+b.1.tgz: sha256:${DIGEST}\n`;

function message(text: string, head = 'Hash: SHA512\n'): string {
  return `-----BEGIN PGP SIGNED MESSAGE-----\n${head}\n${text}
-----BEGIN PGP SIGNATURE-----

wsBcBAEBCgAQBQJdy0ReCRCEO7+YH8GHYgAAfhUIADx3pHHLLINv0MFkiEYpX/Kd
=nDXt
-----END PGP SIGNATURE-----
`;
}

function prov(metadata: string, files = FILES): string {
  return message(`${metadata}\n...\n${files}`);
}

describe('a provenance file', () => {
  const good = { name: 'x', version: '1.0.0+b.1', fileName: 'x-1.0.0+b.1.tgz', digest: DIGEST };

  it.each([
    ['of helm', prov(METADATA)],
    ['with CR LF', prov(METADATA).replaceAll('\n', '\r\n')],
    ['without a final line break', prov(METADATA).trimEnd()],
    ['with dash-escapes', prov(`${METADATA}keywords:\n- - a\n`)],
    ['with two hashes', message(`${METADATA}\n...\n${FILES}`, 'Hash: SHA256, SHA512\n')],
    ['with images', prov(METADATA, `${FILES}images:\n  a:b: sha256:00\n`)],
  ])('%s is read', (_, text) => expect(readProvenance(Buffer.from(text))).toEqual(good));

  it.each<[string, string | Buffer, RegExp]>([
    ['of nothing', '', /clear-signed PGP message/],
    ['without a signature', `${METADATA}\n...\n${FILES}`, /clear-signed PGP message/],
    ['with something before it', `x\n${prov(METADATA)}`, /clear-signed PGP message/],
    ['with something behind it', `${prov(METADATA)}x`, /clear-signed PGP message/],
    ['with an empty signature', prov(METADATA).replace(/^(?:wsBc|=nD).*\n/gm, ''), /clear-signed PGP message/],
    ['with another header', message(`${METADATA}\n...\n${FILES}`, 'Name: evil\n'), /clear-signed PGP message/],
    ['with bare carriage returns', prov(METADATA.replace('x\n', 'x\r\r\n')), /clear-signed PGP message/],
    ['with a dash that is not escaped', prov(`${METADATA}keywords:\n-x\n`), /dash that is not escaped/],
    ['of metadata alone', message(METADATA), /metadata and the sum of its archive/],
    ['without files', prov(METADATA, 'a: b\n'), /metadata and the sum of its archive/],
    ['that is no YAML', prov('{'), /malformed YAML/],
    ['with two names', prov(`${METADATA}name: y\n`), /malformed YAML/],
    ['of no name', prov('version: 1.0.0\n'), /name of a chart, found ""/],
    ['with a name that leads out', prov('name: ../../x\nversion: 1.0.0\n'), /name of a chart/],
    ['with a name that ends in CR', prov('name: "x\\r"\nversion: 1.0.0\n'), /name of a chart/],
    ['with a version that leads out', prov('name: x\nversion: 1.0.0/../../y\n'), /version of semver.org/],
    ['of another chart', prov(METADATA, `files:\n  y-1.0.0.tgz: sha256:${DIGEST}\n`), /found that of "y-1.0.0.tgz"/],
    ['of two charts', prov(METADATA, `${FILES}  y-1.0.0.tgz: sha256:${DIGEST}\n`), /found that of "y-1.0.0.tgz"/],
    ['of a path', prov(METADATA, `files:\n  ../x-1.0.0+b.1.tgz: sha256:${DIGEST}\n`), /found that of "\.\.\/x/],
    ['of no file', prov(METADATA, 'files: {}\n'), /found that of nothing/],
    ['with another sum', prov(METADATA, 'files:\n  x-1.0.0+b.1.tgz: md5:00\n'), /expected sha256/],
    ['without a sum', prov(METADATA, 'files:\n  x-1.0.0+b.1.tgz:\n'), /expected sha256/],
    ['of other bytes', Buffer.from([0xc3, 0x28]), /UTF-8/],
    ['of a MiB', prov(`${METADATA}#${'x'.repeat(LARGEST_PROVENANCE)}`), /bytes at most/],
  ])('%s is refused', (_, text, expected) => {
    expect(() => readProvenance(Buffer.from(text as string))).toThrow(expected);
    expect(() => readProvenance(Buffer.from(text as string))).toThrow(ChartError);
  });

  it('belongs to one archive', () => {
    const provenance = readProvenance(Buffer.from(prov(METADATA)));
    expect(() => checkProvenance(provenance, good, DIGEST)).not.toThrow();
    expect(() => checkProvenance(provenance, { ...good, version: '1.0.0' }, DIGEST)).toThrow('of x-1.0.0.tgz, found');
    expect(() => checkProvenance(provenance, good, '00'.repeat(32))).toThrow(/not of sha256:0000/);
  });
});
