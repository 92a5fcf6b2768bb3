const MEBIBYTE = 1024 * 1024;

/** The largest zip of a module, packed and unpacked, in bytes: Go's own bound (golang.org/x/mod/zip, MaxZipFile). */
export const LARGEST_ZIP = 500 * MEBIBYTE;
/** The largest `go.mod` and LICENSE, in bytes: Go's own bound (golang.org/x/mod/zip, MaxGoMod). */
export const LARGEST_GO_MOD = 16 * MEBIBYTE;
/** The largest list of versions, in bytes. */
export const LARGEST_LIST = 16 * MEBIBYTE;
/** The largest `.info`, in bytes. */
export const LARGEST_INFO = MEBIBYTE;
/** The largest record, tree head and tile of hashes of a checksum database, in bytes. */
export const LARGEST_PROOF = 1_000_000;
/** The largest tile of records, in bytes. */
export const LARGEST_TILE = 4 * MEBIBYTE;
