/** Bytes that plugins read: a document as received, or a verified artifact. Never held whole by core. */
export interface Content {
  /** Bytes. */
  readonly size: number;
  /** The media type that the upstream gave, lower-case, without parameters; `application/octet-stream` when it gave none. */
  readonly mediaType: string;
  /** The path of the bytes' own file, for tools and workers. Valid only while the hook runs; not to be changed. */
  readonly path?: string | undefined;
  /** The bytes from the start. May be called more than once; each call reads anew. */
  stream(): AsyncIterable<Uint8Array>;
  /**
   * The whole as one array. For documents that are known to be small.
   * @throws EntrepotError `too-large` when it is larger than `limit` bytes.
   */
  bytes(limit: number): Promise<Uint8Array>;
}
