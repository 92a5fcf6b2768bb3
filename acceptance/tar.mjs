import { gzipSync } from 'node:zlib';

const BLOCK = 512;

/**
 * A gzip'd ustar archive of regular files, the same bytes every time.
 * @param {Readonly<Record<string, { body: string | Buffer, executable?: boolean }>>} files by path
 * @returns {Buffer}
 */
export function tarball(files) {
  const blocks = [];
  for (const [path, { body, executable = false }] of Object.entries(files)) {
    const bytes = Buffer.from(body);
    blocks.push(header(path, bytes.length, executable ? 0o755 : 0o644), bytes);
    blocks.push(Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK));
  }
  blocks.push(Buffer.alloc(2 * BLOCK));
  return gzipSync(Buffer.concat(blocks), { level: 6 });
}

/**
 * One ustar header (POSIX.1-1988, section 10.1.1).
 * @param {string} path at most 100 bytes
 * @param {number} size
 * @param {number} mode
 */
function header(path, size, mode) {
  if (Buffer.byteLength(path) > 100) throw new Error(`a path of at most 100 bytes was expected, found ${path}`);
  const block = Buffer.alloc(BLOCK);
  block.write(path, 0);
  block.write(`${octal(mode, 7)}\0`, 100);
  block.write(`${octal(0, 7)}\0`, 108);
  block.write(`${octal(0, 7)}\0`, 116);
  block.write(`${octal(size, 11)}\0`, 124);
  // Some clients refuse a modification time of zero.
  block.write(`${octal(499_162_500, 11)}\0`, 136);
  block.write('        ', 148);
  block.write('0', 156);
  block.write('ustar\0', 257);
  block.write('00', 263);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

/** @param {number} value @param {number} width */
function octal(value, width) {
  return value.toString(8).padStart(width, '0');
}
