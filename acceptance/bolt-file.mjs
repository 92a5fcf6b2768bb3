/**
 * A bbolt file (go.etcd.io/bbolt, "Database File Layout"), as Trivy's database is one: written whole, never changed.
 * Every bucket of the first level has one page of its own, as large as it must be; those below are in line.
 */

const PAGE = 4096;
const MAGIC = 0xed0cdaed;
const VERSION = 2;
const [BRANCHLESS_LEAF, META, FREELIST] = [0x02, 0x04, 0x10];
const PAGE_HEADER = 16;
const ELEMENT = 16;
const BUCKET_HEADER = 16;
const IS_BUCKET = 1;
/** bbolt refuses smaller files. */
const LEAST = 32 * 1024;

/** What a bucket holds: values, and buckets. @typedef {{ [name: string]: string | Bucket }} Bucket */

/**
 * @param {Bucket} root
 * @returns {Buffer}
 */
export function boltFile(root) {
  /** @type {Buffer[]} */
  const pages = [];
  let next = 4;
  /** @type {[Buffer, Buffer, number][]} */
  const top = Object.entries(root).map(([name, bucket]) => {
    if (typeof bucket === 'string') throw new TypeError('the first level of a bbolt file holds buckets only');
    const leaf = leafOf(elementsOf(bucket));
    const count = Math.ceil(leaf.length / PAGE);
    const header = Buffer.alloc(BUCKET_HEADER);
    header.writeBigUInt64LE(BigInt(next), 0);
    leaf.writeBigUInt64LE(BigInt(next), 0);
    leaf.writeUInt32LE(count - 1, 12);
    pages.push(padded(leaf, count * PAGE));
    next += count;
    return [Buffer.from(name), header, IS_BUCKET];
  });
  const rootLeaf = leafOf(top);
  if (rootLeaf.length > PAGE) throw new RangeError('too many buckets for one page');
  rootLeaf.writeBigUInt64LE(3n, 0);
  const freelist = Buffer.alloc(PAGE_HEADER);
  freelist.writeBigUInt64LE(2n, 0);
  freelist.writeUInt16LE(FREELIST, 8);
  const file = Buffer.concat([
    metaPage(0n, next),
    metaPage(1n, next),
    padded(freelist, PAGE),
    padded(rootLeaf, PAGE),
    ...pages,
  ]);
  return padded(file, Math.max(file.length, LEAST));
}

/**
 * @param {bigint} id also the transaction: the newer of the two pages counts
 * @param {number} highest the first page that is not in use
 */
function metaPage(id, highest) {
  const page = Buffer.alloc(PAGE);
  page.writeBigUInt64LE(id, 0);
  page.writeUInt16LE(META, 8);
  const meta = page.subarray(PAGE_HEADER);
  meta.writeUInt32LE(MAGIC, 0);
  meta.writeUInt32LE(VERSION, 4);
  meta.writeUInt32LE(PAGE, 8);
  meta.writeBigUInt64LE(3n, 16);
  meta.writeBigUInt64LE(2n, 32);
  meta.writeBigUInt64LE(BigInt(highest), 40);
  meta.writeBigUInt64LE(id, 48);
  meta.writeBigUInt64LE(fnv1a(meta.subarray(0, 56)), 56);
  return page;
}

/** @param {Buffer} bytes */
function fnv1a(bytes) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}

/**
 * @param {Bucket} bucket
 * @returns {[Buffer, Buffer, number][]}
 */
function elementsOf(bucket) {
  return Object.entries(bucket).map(([name, value]) => {
    if (typeof value === 'string') return [Buffer.from(name), Buffer.from(value), 0];
    return [Buffer.from(name), Buffer.concat([Buffer.alloc(BUCKET_HEADER), leafOf(elementsOf(value))]), IS_BUCKET];
  });
}

/** @param {readonly [Buffer, Buffer, number][]} elements */
function leafOf(elements) {
  const sorted = elements.toSorted(([left], [right]) => Buffer.compare(left, right));
  const head = Buffer.alloc(PAGE_HEADER + ELEMENT * sorted.length);
  head.writeUInt16LE(BRANCHLESS_LEAF, 8);
  head.writeUInt16LE(sorted.length, 10);
  let at = head.length;
  for (const [index, [key, value, flags]] of sorted.entries()) {
    const place = PAGE_HEADER + ELEMENT * index;
    head.writeUInt32LE(flags, place);
    head.writeUInt32LE(at - place, place + 4);
    head.writeUInt32LE(key.length, place + 8);
    head.writeUInt32LE(value.length, place + 12);
    at += key.length + value.length;
  }
  return Buffer.concat([head, ...sorted.flatMap(([key, value]) => [key, value])]);
}

/** @param {Buffer} bytes @param {number} length */
function padded(bytes, length) {
  return Buffer.concat([bytes, Buffer.alloc(length - bytes.length)]);
}
