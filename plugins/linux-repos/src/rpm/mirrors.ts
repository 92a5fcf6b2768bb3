import { createHash } from 'node:crypto';
import type { LocateContext, Location, Resource } from '@entrepot/core';
import { compileNamePattern, malformed } from '@entrepot/core/formats';
import type { MirrorLists } from '../shared/mirror-lists.js';
import { isListed, LARGEST_MIRROR_LIST, readMirrorList, type MirrorList } from './mirror-list.js';

/** Mirrors of one file that are asked in turn. */
const MOST_ASKED = 8;

/** Mirrors of repositories of rpm, as the lists of mirrors of the configuration tell. */
export class RpmMirrors implements MirrorLists {
  /** Paths of lists below the upstreams, by roots, the longest first. */
  readonly #lists: readonly (readonly [root: string, path: string])[];
  readonly #mayBeAsked: readonly ((host: string) => boolean)[];

  /** @param hosts patterns of hosts that may be asked */
  constructor(lists: Readonly<Record<string, string>>, hosts: readonly string[]) {
    this.#lists = Object.entries(lists).sort(([one], [other]) => other.length - one.length);
    this.#mayBeAsked = hosts.map((pattern) => compileNamePattern(pattern.toLowerCase()));
  }

  async locate({ path = '', scope }: Resource, context: LocateContext): Promise<Location | undefined> {
    const whole = scope === undefined ? path : `${encodeURIComponent(scope)}/${path}`;
    const decoded = decodeURIComponent(whole);
    const [root = '', list] = this.#lists.find(([one]) => decoded.startsWith(`${one}/`)) ?? [];
    if (list === undefined) return undefined;
    const { mirrors, sums } = await readList(root, list, context);
    // A list without sums was read safely, and names what anybody on the way could change.
    const isSafe = sums.length > 0 || context.namedBy?.startsWith('https:') !== true;
    const asked = mirrors.filter((url) => this.#isAllowed(url) && (isSafe || url.startsWith('https:')));
    const depth = root.split('/').length;
    const rest = whole.split('/').slice(depth).join('/');
    const [url, ...others] = asked.slice(0, MOST_ASKED).map((mirror) => `${mirror}${rest}`);
    if (url === undefined) throw malformed(list, 'expected a mirror by https, of a host that mirrorHosts allows');
    return { url, mirrors: others };
  }

  async sums(root: string, read: LocateContext['read']): Promise<string | undefined> {
    const { sums = [] } = (await this.#listOf(root, read)) ?? {};
    if (sums.length === 0) return undefined;
    return createHash('sha256')
      .update(JSON.stringify(sums.map((one) => [...one])))
      .digest('hex');
  }

  async check(root: string, name: string, bytes: Uint8Array, read: LocateContext['read']): Promise<void> {
    const list = await this.#listOf(root, read);
    if (list !== undefined && list.sums.length > 0 && !isListed(list, bytes))
      throw malformed(name, 'its sum is none of those that the metalink has: the mirror is behind, or it is changed');
  }

  async #listOf(root: string, read: LocateContext['read']): Promise<MirrorList | undefined> {
    const [, path] = this.#lists.find(([one]) => one === root) ?? [];
    return path === undefined ? undefined : await readList(root, path, { read });
  }

  #isAllowed(url: string): boolean {
    const { hostname } = new URL(url);
    return this.#mayBeAsked.some((fits) => fits(hostname));
  }
}

async function readList(root: string, path: string, { read }: Pick<LocateContext, 'read'>): Promise<MirrorList> {
  const content = await read({ class: 'mirrorList', key: `mirrors/${root}`, path });
  return readMirrorList(await content.bytes(LARGEST_MIRROR_LIST), path);
}
