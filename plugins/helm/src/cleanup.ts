import type { Cleanup, Entry, StoredVersion } from '@entrepot/core';
import { compareSemanticVersions } from '@entrepot/core/formats';
import { ChartChange, type ChartAttributes } from './change.js';
import type { HelmHosted } from './hosted.js';
import { KEY } from './keys.js';
import { parseChartVersion } from './version-order.js';

/** Cleanup of charts. Names are those of charts, behind that of their tenant: `team/app`. */
export const CLEANUP: Cleanup<HelmHosted> = {
  versions: {
    order: { parse: parseChartVersion, compare: compareSemanticVersions },
    isPrerelease: (version) => (parseChartVersion(version)?.prerelease.length ?? 0) > 0,
  },
  async *stored({ list }) {
    for await (const { key } of list(KEY.anyVersions)) {
      const { tenant, name } = placeOf(key);
      if (name === undefined) continue;
      const versions: StoredVersion[] = [];
      // Archives of longer names begin in the same way.
      for await (const entry of list(KEY.chart(tenant, `${name}-`))) {
        const { name: own, version, image } = attributesOf(entry);
        if (own === name) versions.push({ entry, name: nameOf(tenant, name), version, servedBy: image });
      }
      if (versions.length > 0) yield versions;
    }
  },
  async retire(versions, context, self) {
    const [{ entry }] = versions as [StoredVersion];
    const change = new ChartChange(placeOf(entry.key).tenant, context, self);
    const given = versions.map((one) => attributesOf(one.entry));
    await change.remove(
      (given[0] as ChartAttributes).name,
      given.map(({ version }) => version),
    );
    const { replace, remove } = change.made;
    return { replace, remove };
  },
};

/** Reads the tenant of a key, and the chart where it is that of a first part of versions. */
function placeOf(key: string): { readonly tenant: string; readonly name: string | undefined } {
  const place = key.slice(key.indexOf('/') + 1);
  const end = place.indexOf('//');
  const rest = place.slice(end + '//'.length);
  return { tenant: place.slice(0, end), name: rest === '' || rest.includes('/') ? undefined : rest };
}

function nameOf(tenant: string, name: string): string {
  return tenant === '' ? name : `${tenant}/${name}`;
}

function attributesOf({ attributes }: Entry): ChartAttributes {
  return attributes as unknown as ChartAttributes;
}
