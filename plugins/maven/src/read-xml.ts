import type { Content } from '@entrepot/core';
import { malformed, slices, XmlReader, type XmlHandler } from '@entrepot/core/formats';

/** Reads an XML document. @throws EntrepotError `upstream-unavailable` for what is none, or larger than `limit` bytes */
export async function readXml(
  content: Pick<Content, 'size' | 'stream'>,
  subject: string,
  limit: number,
  handler: XmlHandler,
): Promise<void> {
  if (content.size > limit) throw malformed(subject, `expected ${limit} bytes at most, found ${content.size}`);
  const reader = new XmlReader(subject, handler);
  for await (const piece of slices(content.stream())) reader.write(piece);
  reader.end();
}

/** Text as it stands in an element. */
export function xmlText(text: string): string {
  return text.replace(/[&<>]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[sign] as string);
}
