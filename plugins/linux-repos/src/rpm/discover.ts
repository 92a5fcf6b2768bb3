import { arch } from 'node:os';
import type { DiscoveredUpstream, DiscoveryContext } from '@entrepot/core';
import { readFile } from 'node:fs/promises';
import { filesOf, sourcesOf, upstreamsOf } from '../shared/discover.js';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64', ppc64: 'ppc64le' };

/**
 * The repositories that dnf or zypper on this machine uses: `baseurl` of those that are enabled. Lists of mirrors are not asked.
 * @param folders with files of repositories
 */
export async function discoverUpstreams(
  context: DiscoveryContext,
  folders: readonly string[] = ['/etc/yum.repos.d', '/etc/zypp/repos.d'],
  release = '/etc/os-release',
): Promise<readonly DiscoveredUpstream[]> {
  const version = /^VERSION_ID="?([^"\n]*)/m.exec(await readFile(release, 'utf8').catch(() => ''))?.[1] ?? '';
  const variables: Readonly<Record<string, string>> = {
    basearch: ARCHITECTURES[arch()] ?? arch(),
    releasever: version,
    releasever_major: version.split('.')[0] as string,
  };
  const files = (await Promise.all(folders.map(filesOf))).flat().filter((file) => file.endsWith('.repo'));
  const found = await Promise.all(files.map((file) => sourcesOf(file, (text) => readRepositories(text, variables))));
  return upstreamsOf(found.flat(), "dnf's configuration", context);
}

/** Reads sections of repositories: dnf.conf(5). One with a variable that is not known is left out. */
function readRepositories(text: string, variables: Readonly<Record<string, string>>): string[] {
  return text.split(/^(?=\[)/m).flatMap((section) => {
    const isOff = /^enabled\s*=\s*(?:0|no|false|off)\s*$/im.test(section);
    const urls = /^baseurl\s*=(.*(?:\n[ \t].*)*)/im.exec(section)?.[1] ?? '';
    if (isOff) return [];
    return urls
      .split(/[\s,]+/)
      .map((url) => url.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (whole, one, other) => variables[one ?? other] ?? whole))
      .filter((url) => url !== '' && !url.includes('$'));
  });
}
