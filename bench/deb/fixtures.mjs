/** The archive of the suite for Debian packages: its sizes are those of the data in each package. */
import { randomBytes } from 'node:crypto';
import { DebArchive } from '@entrepot/fixtures/deb-archive';

/** Packages under load. */
export const LOADED = { small: 20_000, large: 1_000_000 };
/** Other packages of the index, which is then as long as that of a small archive. */
const OTHERS = 2000;

export async function benchArchive() {
  const archive = Object.assign(await DebArchive.create(), { isXz: true });
  for (const [name, size] of Object.entries(LOADED)) archive.add(name, '1.0', { size });
  for (let turn = 0; turn < OTHERS; turn += 1) archive.add(`other-${randomBytes(6).toString('hex')}`, '1.0');
  await archive.publish();
  return archive;
}

/** The path of a package below the archive. */
export function packagePath(name) {
  return `pool/main/${name[0]}/${name}/${name}_1.0_all.deb`;
}
