/** The folders of everything that is published, in the order in which it depends on each other. */
export const PUBLISHED = [
  'core',
  'plugins/npm',
  'plugins/files',
  'plugins/pypi',
  'plugins/go',
  'plugins/oci',
  'plugins/helm',
  'plugins/linux-repos',
  'plugins/scanner-osv',
  'plugins/scanner-trivy',
  'plugins/scanner-grype',
  'plugins/storage-azure',
  'plugins/storage-gcs',
  'host',
  'deploy/npm',
  'create-plugin',
];
