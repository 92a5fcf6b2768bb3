/** `text` as any database takes it, without NUL and lone surrogates, of at most so many characters. */
export function plainText(text: string, most: number): string {
  const short = text.length > most ? `${text.slice(0, most - 1)}…` : text;
  return short.toWellFormed().replaceAll('\0', '\uFFFD');
}
