import type { IncomingMessage } from 'node:http';
import { EntrepotError } from '@entrepot/core';
import { parseBoundedJson } from '@entrepot/core/formats';
import { parseYamlAside } from '../config/yaml-aside.js';

/** The body of a request, which may have `limit` bytes. @throws EntrepotError `too-large` */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  // A request that is destroyed half read gets no answer: its client would wait for one with the rest of its body in hand.
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > limit) break;
    parts.push(part);
  }
  if (size > limit) {
    request.resume();
    throw new EntrepotError('too-large', `Body: expected at most ${limit} bytes`);
  }
  return Buffer.concat(parts);
}

/** What a JSON body holds. @throws EntrepotError `bad-request` */
export function readJson(body: Buffer): unknown {
  try {
    return parseBoundedJson(body);
  } catch (cause) {
    throw new EntrepotError('bad-request', 'Body: expected JSON, with 50,000 lists and objects at the most', { cause });
  }
}

/** Of a form, in bytes. */
const LARGEST_FORM = 256 * 1024;

/** What a JSON or YAML body holds. @throws EntrepotError `bad-request` */
export async function readValue(request: IncomingMessage): Promise<unknown> {
  const body = await readBody(request, LARGEST_FORM);
  try {
    return parseBoundedJson(body);
  } catch {
    // Then it is YAML, or nothing.
  }
  const read = await parseYamlAside(body.toString('utf8'));
  if (read.fault !== undefined) throw new EntrepotError('bad-request', `Body: ${read.fault}`);
  return read.value;
}
