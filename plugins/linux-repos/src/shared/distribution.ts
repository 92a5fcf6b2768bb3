/** Distributions as OSV names them, by the folder that their mirrors have them in. */
const DISTRIBUTIONS: ReadonlyMap<string, readonly [name: string, isRelease: RegExp]> = new Map([
  ['rocky', ['rocky-linux-', /^(\d+)(?:\.\d+)?$/]],
  ['rockylinux', ['rocky-linux-', /^(\d+)(?:\.\d+)?$/]],
  ['almalinux', ['almalinux-', /^(\d+)(?:\.\d+)?$/]],
  ['rhel', ['redhat-', /^(\d+)(?:\.\d+)?$/]],
  ['leap', ['opensuse-Leap ', /^(\d+\.\d+)$/]],
  ['mageia', ['mageia-', /^(\d+)$/]],
  ['alpine', ['alpine-', /^v(\d+\.\d+)$/]],
]);

/**
 * The distribution of a repository by its place, the path of its mirror and that below it: `/rocky/9/BaseOS/x86_64/os` is
 * `rocky-linux-9`. `undefined`: the place does not say.
 */
export function distributionAt(place: string): string | undefined {
  const folders = place.toLowerCase().split('/');
  for (const [index, folder] of folders.entries()) {
    const [name, isRelease] = DISTRIBUTIONS.get(folder) ?? [];
    if (isRelease === undefined) continue;
    for (const later of folders.slice(index + 1)) {
      const release = isRelease.exec(later)?.[1];
      if (release !== undefined) return `${name}${release}`;
    }
  }
  return undefined;
}
