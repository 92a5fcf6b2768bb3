export interface TarMember {
  readonly name: string;
  readonly content?: string | Uint8Array;
  /** The type flag; `0` when left out. */
  readonly type?: string;
  /** A false size in the header. */
  readonly size?: number;
  /** GNU's magic in place of POSIX's. */
  readonly gnu?: boolean;
}

/** A tar archive of exactly these headers, good or bad. */
export function packTar(members: readonly TarMember[], end: Uint8Array = Buffer.alloc(1024)): Buffer {
  const blocks = members.flatMap(({ name, content = '', type = '0', size, gnu = false }) => {
    const body = Buffer.from(content as string);
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write('0000644\0', 100);
    header.write(`${(size ?? body.length).toString(8).padStart(11, '0')}\0`, 124);
    header.write('        ', 148);
    header.write(type, 156, 'latin1');
    header.write(gnu ? 'ustar  \0' : 'ustar\x0000', 257, 'latin1');
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, end]);
}

/** One record of a pax header. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest) + 1;
  while (String(length).length + Buffer.byteLength(rest) !== length) length += 1;
  return `${length}${rest}`;
}
