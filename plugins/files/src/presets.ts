/** Rules for well-known layouts. They stand after the repository's own, which therefore win. */
export const PRESETS = {
  /** A code forge whose releases are under `<owner>/<repository>/releases/download/<tag>/`. */
  'github-releases': [
    { match: '*/*/releases/latest/**', policy: 'revalidate', freshFor: '5m' },
    { match: '*/*/releases/download/**', policy: 'immutable' },
    // An archive of a commit or tag is packed anew on request: its bytes may change.
    { match: '*/*/archive/**', policy: 'revalidate', freshFor: '1h' },
    { match: '**', policy: 'deny' },
  ],
  /** The distributions of Node.js: `v20.19.0/…` for ever, the `latest…` folders and the indexes not. */
  'nodejs-dist': [
    { match: '**/SHASUMS256.txt*', policy: 'revalidate', freshFor: '1h' },
    {
      match: '**/v[0-9]*.[0-9]*.[0-9]*/*.{gz,xz,zip,7z,pkg,msi}',
      policy: 'immutable',
      checksum: { sidecar: 'SHASUMS256.txt', required: false },
    },
    // Below a version's folder nothing has a list of its own.
    { match: '**/v[0-9]*.[0-9]*.[0-9]*/*/**', policy: 'immutable' },
    { match: '**', policy: 'revalidate', freshFor: '5m' },
  ],
  /** A mirror of anything: packed files with a version in their name for ever, all else asked for again. */
  'generic-mirror': [
    { match: '**/*latest*', policy: 'revalidate', freshFor: '5m' },
    {
      match: '**/*[0-9].[0-9]*.{zip,tgz,gz,bz2,xz,zst,7z,deb,rpm,apk,jar,whl,gem,crate,exe,msi,dmg,pkg,iso}',
      policy: 'immutable',
    },
    { match: '**', policy: 'revalidate', freshFor: '5m' },
  ],
  /**
   * Trees of Linux packages without a check of what is kept: their indexes are asked for again, packages are kept for ever. `type: apk`,
   * `rpm` and `deb` serve the same trees with it, and change an index and its packages as one.
   */
  alpine: [
    { match: '**/{APKINDEX.tar.gz,Packages.adb}', policy: 'revalidate', freshFor: '5m' },
    { match: '**/*.apk', policy: 'immutable' },
    { match: '**', policy: 'revalidate', freshFor: '1h' },
  ],
  rpm: [
    // createrepo names them by their sums; other indexes have the same name each time.
    { match: `**/repodata/${'[0-9a-f]'.repeat(32)}*-*`, policy: 'immutable' },
    { match: '**/{repodata/**,mirrorlist*,metalink*,media.1/**}', policy: 'revalidate', freshFor: '5m' },
    { match: '**/*.{rpm,drpm}', policy: 'immutable' },
    { match: '**', policy: 'revalidate', freshFor: '1h' },
  ],
  debian: [
    { match: '**/by-hash/**', policy: 'immutable' },
    { match: '**/{dists/**,Release*,InRelease,Packages*,Sources*}', policy: 'revalidate', freshFor: '5m' },
    { match: '**/*_*.{deb,udeb,ddeb,dsc}', policy: 'immutable' },
    { match: '**/pool/**', policy: 'immutable' },
    { match: '**', policy: 'revalidate', freshFor: '1h' },
  ],
} as const;
