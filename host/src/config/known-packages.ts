/** The packages of formats of ours, by the type that the configuration gives them. They are loaded where they are named. */
export const KNOWN_FORMATS: Readonly<Record<string, string>> = {
  npm: '@entrepot/plugin-npm',
  apk: '@entrepot/plugin-linux-repos',
  cargo: '@entrepot/plugin-cargo',
  deb: '@entrepot/plugin-linux-repos',
  files: '@entrepot/plugin-files',
  go: '@entrepot/plugin-go',
  helm: '@entrepot/plugin-helm',
  maven: '@entrepot/plugin-maven',
  oci: '@entrepot/plugin-oci',
  pacman: '@entrepot/plugin-linux-repos',
  pypi: '@entrepot/plugin-pypi',
  rpm: '@entrepot/plugin-linux-repos',
};

/** The packages of stores of ours, by the name that the configuration gives them. They are installed where they are used. */
export const KNOWN_STORES: Readonly<Record<string, string>> = {
  azure: '@entrepot/storage-azure',
  gcs: '@entrepot/storage-gcs',
};

/** The packages of scanners of ours, by the id that the configuration names. They are loaded where they are named. */
export const KNOWN_SCANNERS: Readonly<Record<string, string>> = {
  osv: '@entrepot/plugin-scanner-osv',
  trivy: '@entrepot/plugin-scanner-trivy',
  grype: '@entrepot/plugin-scanner-grype',
};
