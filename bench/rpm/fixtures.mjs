/** The repository of the suite for RPM packages: its sizes are those of the data in each package. */
import { RpmArchive } from '@entrepot/fixtures/rpm-archive';

/** Packages under load. */
export const LOADED = { small: 20_000, large: 1_000_000 };
/** Versions of another package: the index is then as long as that of a small repository. */
const OTHERS = 2000;

/** @param {string} folder for what the programs work on */
export async function benchArchive(folder) {
  const archive = await RpmArchive.create(folder);
  archive.isSigned = false;
  for (const [name, size] of Object.entries(LOADED)) await archive.add(name, '1.0', { size });
  for (let turn = 0; turn < OTHERS; turn += 1) await archive.add('other', `1.${10_000 + turn}`, { isBeside: true });
  await archive.publish();
  return archive;
}

/** The path of a package below the repository. */
export function packagePath(name) {
  return `Packages/${name[0]}/${name}-1.0-1.noarch.rpm`;
}
