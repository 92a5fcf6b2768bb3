/**
 * The keys of entries. A tenant is segments with one `/` between them, and names, versions and digests hold none: so after
 * `//` comes what belongs to the tenant before it alone, and no two things have one key.
 */
export const KEY = {
  /** An archive, by the name that it is downloaded under. */
  chart: (tenant: string, file: string) => `chart/${tenant}//${file}`,
  provenances: (tenant: string) => `provenance/${tenant}//`,
  /** @param file of the archive */
  provenance: (tenant: string, file: string) => `provenance/${tenant}//${file}.prov`,
  /** The JSON of the versions of a chart, for indexes. With an empty name: says when the last version of a chart went. */
  versions: (tenant: string, name: string) => `versions/${tenant}//${name}`,
  /** The same as YAML. */
  yaml: (tenant: string, name: string) => `yaml/${tenant}//${name}`,
  blob: (tenant: string, name: string, digest: string) => `blob/${tenant}//${name}/${digest}`,
  manifest: (tenant: string, name: string, digest: string) => `manifest/${tenant}//${name}/${digest}`,
  tag: (tenant: string, name: string, tag: string) => `tag/${tenant}//${name}/${tag}`,
};
