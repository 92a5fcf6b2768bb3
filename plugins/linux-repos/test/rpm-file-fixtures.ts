import { createHash } from 'node:crypto';

/** The parts of a package that differ from those of a plain one. */
export interface RpmParts {
  readonly name?: string;
  readonly version?: string;
  readonly release?: string;
  readonly architecture?: string;
  readonly epoch?: number;
  readonly source?: string;
  readonly data?: string;
  readonly texts?: { readonly summary?: string; readonly description?: string; readonly vendor?: string };
  readonly bytes?: { readonly description: Buffer };
  readonly files?: { readonly folder: string; readonly names: readonly string[] };
  /** Texts and numbers by their tag. */
  readonly strings?: Readonly<Record<number, readonly string[]>>;
  readonly numbers?: Readonly<Record<number, readonly number[]>>;
  readonly without?: readonly number[];
  /** Another beginning of the header. */
  readonly entries?: (intro: Buffer) => Buffer;
  /** The last byte of the header in place of a zero. */
  readonly end?: Buffer;
  /** Another sum of the header. */
  readonly sum?: string;
}

type Value = string | Buffer | readonly string[] | readonly number[] | { readonly int16: readonly number[] };

/** A package, as rpmbuild would write its parts. */
export function rpm(parts: RpmParts): Buffer {
  const { name = 'hello', version = '1.0', release = '1', architecture = 'x86_64', data = 'data' } = parts;
  const payload = Buffer.from(data);
  const { texts = {}, files, bytes } = parts;
  const tags: Record<number, Value> = {
    1000: name,
    1001: version,
    1002: release,
    ...(parts.epoch !== undefined && { 1003: [parts.epoch] }),
    1004: texts.summary ?? `${name} of a test`,
    1005: bytes?.description ?? texts.description ?? 'x',
    1006: [1_796_000_000],
    1009: [payload.length],
    1014: 'MIT',
    ...(texts.vendor !== undefined && { 1011: texts.vendor }),
    1022: architecture,
    1044: parts.source ?? `${name}-${version}-${release}.src.rpm`,
    ...(files !== undefined && {
      1030: { int16: files.names.map(() => 0o100644) },
      1037: files.names.map(() => 0),
      1116: files.names.map(() => 0),
      1117: files.names,
      1118: [files.folder],
    }),
    ...parts.strings,
    ...parts.numbers,
    5092: [createHash('sha256').update(payload).digest('hex')],
    5093: [8],
  };
  for (const tag of parts.without ?? []) delete tags[tag];
  let header = headerOf(tags);
  if (parts.entries !== undefined) header = parts.entries(header);
  if (parts.end !== undefined) header = Buffer.concat([header.subarray(0, -1), parts.end]);
  // A header that was changed has the sum of what it is.
  const signature = headerOf({
    273: parts.sum ?? createHash('sha256').update(header).digest('hex'),
    1007: [payload.length],
  });
  const padding = Buffer.alloc((8 - (signature.length % 8)) % 8);
  const lead = Buffer.alloc(96);
  lead.write('edabeedb0300', 'hex');
  return Buffer.concat([lead, signature, padding, header, payload]);
}

function headerOf(tags: Readonly<Record<number, Value>>): Buffer {
  const index = new Map<string, Buffer>();
  const store: Buffer[] = [];
  let length = 0;
  const values = Object.entries(tags).map(([tag, value]) => [tag, encoded(value)] as const);
  // Texts come last.
  for (const [tag, { type, count, bytes, align }] of values.toSorted(([, one], [, other]) => other.align - one.align)) {
    const padding = (align - (length % align)) % align;
    store.push(Buffer.alloc(padding), bytes);
    const entry = Buffer.alloc(16);
    [Number(tag), type, length + padding, count].forEach((number, at) => entry.writeUInt32BE(number, 4 * at));
    index.set(tag, entry);
    length += padding + bytes.length;
  }
  const intro = Buffer.from('8eade80100000000', 'hex');
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32BE(index.size, 0);
  sizes.writeUInt32BE(length, 4);
  return Buffer.concat([intro, sizes, ...Object.keys(tags).map((tag) => index.get(tag) as Buffer), ...store]);
}

function encoded(value: Value): { type: number; count: number; bytes: Buffer; align: number } {
  if (typeof value === 'string' || Buffer.isBuffer(value))
    return { type: 6, count: 1, bytes: Buffer.concat([Buffer.from(value as string), Buffer.alloc(1)]), align: 1 };
  if ('int16' in value) {
    const bytes = Buffer.alloc(2 * value.int16.length);
    value.int16.forEach((number, at) => bytes.writeUInt16BE(number, 2 * at));
    return { type: 3, count: value.int16.length, bytes, align: 2 };
  }
  if (typeof value[0] === 'number') {
    const bytes = Buffer.alloc(4 * value.length);
    (value as readonly number[]).forEach((number, at) => bytes.writeUInt32BE(number, 4 * at));
    return { type: 4, count: value.length, bytes, align: 4 };
  }
  return { type: 8, count: value.length, bytes: Buffer.from(value.map((text) => `${text}\0`).join('')), align: 1 };
}
