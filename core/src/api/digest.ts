/** Our address of bytes: the SHA-256 of them, in lower-case hex. */
export type Digest = `sha256:${string}`;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Whether `text` is a well-formed digest. */
export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}
