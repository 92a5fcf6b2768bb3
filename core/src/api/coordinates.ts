/** The name of a package, or of one of its versions. */
export interface PackageCoordinates {
  /** The type of its package URL: `npm`, `pypi`, `golang`, `generic` … */
  readonly ecosystem: string;
  /** The name as the ecosystem prints it: `@babel/core`, `github.com/acme/tool`. */
  readonly name: string;
  /** Absent for the package as a whole. */
  readonly version?: string | undefined;
}

/** A package as a whole. */
export type PackageName = Pick<PackageCoordinates, 'ecosystem' | 'name'>;

/**
 * The package URL of `coordinates`: `pkg:npm/%40babel/core@7.24.0`.
 * Source: purl-spec, "Rules for each purl component": `/` separates namespace parts, everything else is percent-encoded but `.-_~` and `:`.
 */
export function packageUrl({ ecosystem, name, version }: PackageCoordinates): string {
  const path = name.split('/').map(encodeComponent).join('/');
  return `pkg:${ecosystem}/${path}${version === undefined ? '' : `@${encodeComponent(version)}`}`;
}

function encodeComponent(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%3A', ':');
}
