import type { Entry } from '@entrepot/core';
import { semverOrder } from '@entrepot/core/formats';
import type { ListingContext, Resource } from '@entrepot/core';

/** Writes the index of a project, oldest version first, without the versions that policy refuses. */
export async function renderIndex(
  { key }: Resource,
  entries: AsyncIterable<Entry>,
  { baseUrl, admits }: ListingContext,
): Promise<readonly string[]> {
  const releases = [];
  for await (const { key: file, coordinates, digest, size } of entries) {
    if (coordinates?.version === undefined || !admits(coordinates)) continue;
    const sha256 = digest.slice('sha256:'.length);
    releases.push({ version: coordinates.version, url: `${baseUrl}/${file}`, sha256, size });
  }
  releases.sort((one, other) => compareVersions(one.version, other.version));
  const name = key.slice(0, key.lastIndexOf('/'));
  return [JSON.stringify({ name, latest: releases.at(-1)?.version, releases })];
}

function compareVersions(one: string, other: string): number {
  const [left, right] = [semverOrder.parse(one), semverOrder.parse(other)];
  return left === undefined || right === undefined ? 0 : semverOrder.compare(left, right);
}
