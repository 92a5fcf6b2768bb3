/** Media types of files as ChartMuseum serves them. */
export const CHART_TYPE = 'application/x-tar';
export const PROVENANCE_TYPE = 'application/pgp-signature';

/** Media types of the parts of an image (helm.sh/docs/topics/registries). */
export const IMAGE_TYPES = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.cncf.helm.config.v1+json',
  chart: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
  provenance: 'application/vnd.cncf.helm.chart.provenance.v1.prov',
};
