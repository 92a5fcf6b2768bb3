import { defineConfig } from 'vitest/config';

const source = (path: string) => new URL(path, import.meta.url).pathname;

/** Tests run on the sources, without a build; acceptance/ runs on what is built. */
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@entrepot\/core$/, replacement: source('core/src/index.ts') },
      { find: /^@entrepot\/core\/(blobs|engine|formats|testing|tool)$/, replacement: source('core/src/$1/index.ts') },
      { find: /^@entrepot\/host$/, replacement: source('host/src/index.ts') },
      { find: /^entrepot$/, replacement: source('deploy/npm/src/index.ts') },
      {
        find: /^@entrepot\/plugin-(npm|files|pypi|go|oci|helm|cargo|linux-repos|scanner-osv|scanner-trivy|scanner-grype)$/,
        replacement: source('plugins/$1/src/index.ts'),
      },
      { find: /^@entrepot\/(storage-azure|storage-gcs)$/, replacement: source('plugins/$1/src/index.ts') },
    ],
  },
  test: {
    include: [
      '{core,host,create-plugin}/test/**/*.test.ts',
      'deploy/npm/test/**/*.test.ts',
      'plugins/*/test/**/*.test.ts',
      '{bench,scripts}/test/**/*.test.mjs',
    ],
    // Against what hangs, not a measure of speed: with other work on the machine, a test of 3 s took over 20 s.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
