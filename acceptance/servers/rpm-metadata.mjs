// Metadata of a repository of rpm besides its lists of packages.

/** A module without packages. */
export const MODULES = `---
document: modulemd
version: 2
data:
  name: own
  stream: "1"
  version: 1
  context: c0ffee42
  arch: noarch
  summary: Of a test
  description: Of a test
  license: { module: [MIT] }
  artifacts: { rpms: [] }
...
`;

/** A group with `hello` in it. */
export const COMPS = `<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>own</id><name>own</name><description>Of a test</description><default>true</default><uservisible>true</uservisible>
<packagelist><packagereq type="mandatory">hello</packagereq></packagelist></group></comps>
`;

/** An advisory: `hello` 1.1 replaces what is before it. */
export const UPDATES = `<?xml version="1.0" encoding="UTF-8"?>
<updates><update from="archive@example.com" status="stable" type="security" version="1"><id>OWN-2026-1</id><title>hello</title>
<issued date="2026-01-01 00:00:00"/><pkglist><collection short="own"><name>own</name><package name="hello" version="1.1" release="1" epoch="0" arch="noarch"><filename>hello-1.1-1.noarch.rpm</filename></package></collection></pkglist></update></updates>
`;
