/**
 * The keys of entries. A tenant is segments with one `/` between them, and names, versions and digests hold none: so `//` ends
 * the tenant, and no two things have one key.
 */
export const KEY = {
  /** Begins the keys of the versions of all tenants. */
  anyVersions: 'versions/',
  /** An archive, by the name that it is downloaded under. */
  chart: (tenant: string, file: string) => `chart/${tenant}//${file}`,
  provenances: (tenant: string) => `provenance/${tenant}//`,
  /** @param file of the archive */
  provenance: (tenant: string, file: string) => `provenance/${tenant}//${file}.prov`,
  /**
   * The JSON of a part of the versions of a chart, for indexes: the first one has the name of the chart. With an empty name: says
   * when versions of a chart went.
   */
  versions: (tenant: string, name: string, part = 0) => `versions/${tenant}//${name}${part === 0 ? '' : `/${part}`}`,
  /** The same as YAML. */
  yaml: (tenant: string, name: string, part = 0) => `yaml/${tenant}//${name}${part === 0 ? '' : `/${part}`}`,
  blob: (tenant: string, name: string, digest: string) => `blob/${tenant}//${name}/${digest}`,
  manifest: (tenant: string, name: string, digest: string) => `manifest/${tenant}//${name}/${digest}`,
  tag: (tenant: string, name: string, tag: string) => `tag/${tenant}//${name}/${tag}`,
};
