/** Whether a text can be kept as it is: a database cuts it at a NUL, and half a surrogate pair has no encoding. */
export function isPlainText(text: string): boolean {
  // ES2024, in Node since 20.
  return !text.includes('\0') && (text as string & { isWellFormed(): boolean }).isWellFormed();
}
