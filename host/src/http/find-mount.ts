const SLASH = 47;

/** Makes a function that finds what is mounted where a path is: that with the longest mount with which the path begins. */
export function mountFinder<Mounted extends { readonly mount: string }>(
  mounted: readonly Mounted[],
): (path: string) => Mounted | undefined {
  const longestFirst = mounted.toSorted((one, other) => other.mount.length - one.mount.length);
  return (path) => {
    for (const one of longestFirst) {
      const { length } = one.mount;
      if (path.startsWith(one.mount) && (path.length === length || path.charCodeAt(length) === SLASH)) return one;
    }
    return undefined;
  };
}
