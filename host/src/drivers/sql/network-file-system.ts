/** File systems of other machines, by the number that `statfs` gives (linux/magic.h). */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x00c36400, 'CephFS'],
  [0x01021997, '9P'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x0bd00bd0, 'Lustre'],
]);

/** The name of a file system whose locks another machine keeps. `undefined`: it is of this machine, as far as is known. @param type of `statfs` */
export function networkFileSystem(type: number): string | undefined {
  // Some are negative in 32 bits.
  return process.platform === 'linux' ? NETWORK.get(type >>> 0) : undefined;
}
