/** The plugins that are part of every installation and need not be listed. Loaded by name, like any other. */
export const BUNDLED_PLUGINS: readonly string[] = [
  '@entrepot/plugin-npm',
  '@entrepot/plugin-files',
  '@entrepot/plugin-go',
  '@entrepot/plugin-helm',
  '@entrepot/plugin-oci',
  '@entrepot/plugin-pypi',
];
