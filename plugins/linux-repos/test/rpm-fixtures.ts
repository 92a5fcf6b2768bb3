/** The SHA-256 of nothing that is there. */
export const SUM = 'ab'.repeat(32);

/** Text as content of a document. */
export function contentOf(bytes: Uint8Array | string, piece = 1 << 20) {
  const all = Buffer.from(bytes as Uint8Array);
  async function* stream(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < all.length; at += piece) yield all.subarray(at, at + piece);
  }
  return { size: all.length, mediaType: 'application/octet-stream', stream, bytes: async () => all };
}

/** A package as `primary.xml` has it. */
export function rpmPackage({
  name = 'hello-libs',
  epoch = '0',
  version = '1.0',
  release = '3.el9',
  checksum = `<checksum type="sha256" pkgid="YES">${SUM}</checksum>`,
  location = '<location href="Packages/h/hello-libs-1.0-3.el9.x86_64.rpm"/>',
  source = 'hello-1.0-3.el9.src.rpm',
  more = '',
}: Readonly<Record<string, string>> = {}): string {
  return `<package type="rpm">
  <name>${name}</name>
  <arch>x86_64</arch>
  <version epoch="${epoch}" ver="${version}" rel="${release}"/>
  ${checksum}
  <summary>x</summary>
  <description>x &amp; &lt;y&gt; <![CDATA[<name>other</name>]]></description>
  <time file="1796021216" build="1796021216"/>
  <size package="5557" installed="0" archive="124"/>
  ${location}
  <format>
    <rpm:license>MIT</rpm:license>
    <rpm:sourcerpm>${source}</rpm:sourcerpm>
    <rpm:provides><rpm:entry name="hello-libs" flags="EQ" epoch="2" ver="1.0" rel="3.el9"/></rpm:provides>
    <file>/usr/bin/hello</file>
  </format>${more}
</package>
`;
}

/** A whole `primary.xml`. */
export function primaryXml(...packages: readonly string[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="${packages.length}">
${packages.join('')}</metadata>
`;
}
