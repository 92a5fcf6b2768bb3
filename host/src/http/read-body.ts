import type { IncomingMessage } from 'node:http';
import { EntrepotError } from '@entrepot/core';
import { parseBoundedJson } from '@entrepot/core/formats';
import { parseYamlAside } from '../config/yaml-aside.js';

/**
 * Reads the body of a request, of at most `limit` bytes.
 * @throws EntrepotError `too-large`
 */
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

/**
 * Parses a JSON body.
 * @throws EntrepotError `bad-request`
 */
export function readJson(body: Buffer): unknown {
  try {
    return parseBoundedJson(body);
  } catch (cause) {
    throw new EntrepotError('bad-request', 'Body: expected JSON, with 50,000 lists and objects at the most', { cause });
  }
}

/**
 * Parses a YAML body; JSON is YAML, too.
 * @throws EntrepotError `bad-request`
 */
export async function readYaml(body: Buffer): Promise<unknown> {
  const read = await parseYamlAside(body.toString('utf8'));
  if (read.fault !== undefined) throw new EntrepotError('bad-request', `Body: ${read.fault}`);
  return read.value;
}
