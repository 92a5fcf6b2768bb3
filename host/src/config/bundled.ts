/** The plugins that are part of every installation and need not be listed. Loaded by name, like any other. */
export const BUNDLED_PLUGINS: readonly string[] = [
  '@entrepot/plugin-npm',
  '@entrepot/plugin-files',
  '@entrepot/plugin-go',
  '@entrepot/plugin-helm',
  '@entrepot/plugin-oci',
  '@entrepot/plugin-pypi',
];

/** The type of a bundled plugin, by the name of its package. */
export function bundledType(name: string): string {
  return name.replace(/^.*\/plugin-/, '');
}

/** The packages of stores of ours, by the name that the configuration gives them. They are installed where they are used. */
export const KNOWN_STORES: Readonly<Record<string, string>> = {
  azure: '@entrepot/storage-azure',
  gcs: '@entrepot/storage-gcs',
};

/** The packages of the scanners that come with every installation, by the id that the configuration names. */
export const BUNDLED_SCANNERS: Readonly<Record<string, string>> = {
  osv: '@entrepot/plugin-scanner-osv',
  trivy: '@entrepot/plugin-scanner-trivy',
  grype: '@entrepot/plugin-scanner-grype',
};
