import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { packTar, type openTestRepository } from '@entrepot/core/testing';
import { apk as apkPlugin, pacman as pacmanPlugin, rpm as rpmPlugin } from '../src/index.js';
import { apk, indexPart, signaturePart } from './apk-fixtures.js';
import { primaryXml, rpmPackage } from './rpm-fixtures.js';

export const sum = (algorithm: string, bytes: Uint8Array | string): string =>
  createHash(algorithm).update(bytes).digest('hex');

/** Files of an archive, by their paths. */
export type Files = Readonly<Record<string, Buffer>>;

/** A repository of one format, with the archive that its mirror has. */
export interface Archive {
  readonly plugin: Parameters<typeof openTestRepository>[0]['plugin'];
  /** The path of the pointer document. */
  readonly pointer: string;
  /** The path of the package of a version. */
  packagePath(version: string): string;
  /** All files, where `hello` has a version, and a package has these bytes. */
  files(version: string, bytes?: Buffer): Files;
  /** The name of `hello` as policy has it. */
  readonly name: string;
}

const rpmBytes = (version: string): Buffer => Buffer.from(`the rpm of ${version}`);

export const RPM: Archive = {
  plugin: rpmPlugin,
  pointer: '9/os/repodata/repomd.xml',
  packagePath: (version) => `9/os/Packages/h/hello-${version}-1.el9.x86_64.rpm`,
  name: 'hello',
  files(version, bytes = rpmBytes(version)) {
    const path = RPM.packagePath(version);
    const primary = gzipSync(
      primaryXml(
        rpmPackage({
          name: 'hello',
          version,
          release: '1.el9',
          checksum: `<checksum type="sha512" pkgid="YES">${sum('sha512', bytes)}</checksum>`,
          location: `<location href="${path.slice('9/os/'.length)}"/>`,
          source: `hello-${version}-1.el9.src.rpm`,
        }),
      ),
    );
    const name = `repodata/${sum('sha256', primary)}-primary.xml.gz`;
    const repomd = `<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo">
  <revision>${version}</revision>
  <data type="primary">
    <checksum type="sha256">${sum('sha256', primary)}</checksum>
    <location href="${name}"/>
    <size>${primary.length}</size>
  </data>
</repomd>
`;
    return { [RPM.pointer]: Buffer.from(repomd), [`9/os/${name}`]: primary, [path]: bytes };
  },
};

export const PACMAN: Archive = {
  plugin: pacmanPlugin,
  pointer: 'core/os/x86_64/core.db',
  packagePath: (version) => `core/os/x86_64/hello-${version}-1-x86_64.pkg.tar.zst`,
  name: 'arch/hello',
  files(version, bytes = Buffer.from(`the package of ${version}`)) {
    const path = PACMAN.packagePath(version);
    const desc = `%FILENAME%\n${path.slice(path.lastIndexOf('/') + 1)}\n\n%NAME%\nhello\n\n%BASE%\nhello\n\n%VERSION%\n${version}-1\n\n%ARCH%\nx86_64\n\n%CSIZE%\n${bytes.length}\n\n%SHA256SUM%\n${sum('sha256', bytes)}\n\n%PGPSIG%\n${Buffer.from(`signature of ${version}`).toString('base64')}\n`;
    const database = zstdCompressSync(packTar([{ name: `hello-${version}-1/desc`, content: desc }]));
    return { [PACMAN.pointer]: database, [path]: bytes };
  },
};

export const APK: Archive = {
  plugin: apkPlugin,
  pointer: 'alpine/v3.20/main/x86_64/APKINDEX.tar.gz',
  packagePath: (version) => `alpine/v3.20/main/x86_64/hello-${version}.apk`,
  name: 'alpine-3.20/hello',
  files(version, bytes) {
    const info = (hash: string): string => `pkgname = hello\npkgver = ${version}\ndatahash = ${hash}\n`;
    const plain = apk();
    const { signature, control, data, identity } = apk({
      data: plain.data,
      info: info(sum('sha256', plain.data)),
    });
    const index = indexPart(
      `C:Q1${Buffer.from(identity.hex, 'hex').toString('base64')}\nP:hello\nV:${version}\nA:x86_64\nS:100\no:hello\n\n`,
    );
    return {
      [APK.pointer]: Buffer.concat([signaturePart(index), index]),
      [APK.packagePath(version)]: bytes ?? Buffer.concat([signature, control, data]),
    };
  },
};
