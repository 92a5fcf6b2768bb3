export const XML_TYPE = 'text/xml';
export const TEXT = 'text/plain; charset=utf-8';

const TYPES: Readonly<Record<string, string>> = {
  asc: TEXT,
  jar: 'application/java-archive',
  json: 'application/json',
  module: 'application/json',
  pom: XML_TYPE,
  war: 'application/java-archive',
  xml: XML_TYPE,
};

/** The media type of a file, by its ending. */
export function mediaTypeOf(path: string): string {
  return TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
}
