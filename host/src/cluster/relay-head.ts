import type { RelayedReply, RelayedBody } from '@entrepot/core/engine';

/** The largest head that is taken, in bytes. */
export const LARGEST_HEAD = 256 * 1024;

/** The head of a relayed body. */
export type RelayHead = Pick<RelayedReply, 'status' | 'headers' | 'url' | 'namedBy' | 'isDecoded'> & {
  readonly finalUrl: string;
};

/** Writes the head of a body: its length in four bytes, and JSON. */
export function writeHead({ reply, isDecoded }: RelayedBody): Buffer {
  const { headers, url, namedBy, finalUrl } = reply;
  const { 'content-encoding': coding, 'content-length': length, ...others } = headers;
  const kept = isDecoded ? others : { ...others, ...given({ 'content-encoding': coding, 'content-length': length }) };
  // A reply of 206 was the rest of one whose beginning is here, too.
  const head: RelayHead = { status: 200, headers: kept, url, namedBy, isDecoded, finalUrl: finalUrl.href };
  const json = Buffer.from(JSON.stringify(head));
  const size = Buffer.alloc(4);
  size.writeUInt32BE(json.length);
  return Buffer.concat([size, json]);
}

/** Reads the head of a body. @throws Error for what no server of this version writes */
export function readHead(json: Buffer): Omit<RelayedReply, 'body'> {
  const { finalUrl, ...head } = JSON.parse(json.toString()) as RelayHead;
  return { ...head, finalUrl: new URL(finalUrl) };
}

function given(headers: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter((pair): pair is [string, string] => pair[1] !== undefined));
}
