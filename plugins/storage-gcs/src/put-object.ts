import { Readable } from 'node:stream';
import { type ObjectBody, UnexpectedReply } from '@entrepot/core/blobs';
import { type GcsApi, readJson } from './api.js';
import { errorOf, GcsError } from './failure.js';

/** How objects are sent. */
export interface PutOptions {
  /** The longest pause within an answer, in milliseconds. */
  readonly idleTimeout: number;
  /** Whether what broke off can be resumed. That takes a request more. */
  readonly resumable: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes an object, whole or not at all.
 * @returns its resource
 */
export async function putObject(
  api: GcsApi,
  key: string,
  body: ObjectBody,
  options: PutOptions,
): Promise<Readonly<Record<string, unknown>>> {
  return options.resumable ? await sendResumable(api, key, body, options) : await sendWhole(api, key, body, options);
}

async function sendWhole(
  api: GcsApi,
  key: string,
  { size, known, open, retry }: ObjectBody,
  { idleTimeout, signal }: PutOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const url = api.objectUrl(undefined, { uploadType: 'media', name: key }, '/upload');
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size) };
  return await retry(async () => {
    const bytes = known?.part(0, size - 1) ?? Readable.from(open(), { objectMode: false });
    return await readJson(await api.send(url, { method: 'POST', headers, body: bytes, signal }), idleTimeout);
  });
}

async function sendResumable(
  api: GcsApi,
  key: string,
  { size, known, open, retry }: ObjectBody,
  { idleTimeout, signal }: PutOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const session = await retry(() => openSession(api, key, size, signal));
  let isComplete = false;
  try {
    let isFirst = true;
    const object = await retry(async () => {
      // Where an attempt broke off, the server says how much of it has arrived.
      const from = isFirst ? 0 : await arrivedOf(api, session, size, { idleTimeout, signal });
      isFirst = false;
      if (typeof from !== 'number') return from;
      const bytes = known?.part(from, size - 1) ?? Readable.from(open(), { objectMode: false });
      const headers = {
        'content-length': String(size - from),
        'content-range': `bytes ${from}-${size - 1}/${size}`,
      };
      return await readJson(await api.send(session, { method: 'PUT', headers, body: bytes, signal }), idleTimeout);
    });
    isComplete = true;
    return object;
  } finally {
    // What cannot be ended now ends by itself after a week.
    if (!isComplete) await endSession(api, session).catch(() => {});
  }
}

async function openSession(api: GcsApi, key: string, size: number, signal: AbortSignal | undefined): Promise<URL> {
  const url = api.objectUrl(undefined, { uploadType: 'resumable', name: key }, '/upload');
  const headers = {
    'content-length': '0',
    'x-upload-content-type': 'application/octet-stream',
    'x-upload-content-length': String(size),
  };
  const answer = await api.send(url, { method: 'POST', headers, signal });
  if (answer.statusCode !== 200) throw await errorOf(answer);
  answer.resume();
  const { location } = answer.headers;
  if (location === undefined || !URL.canParse(location))
    throw new UnexpectedReply('expected the place of an upload from Google Cloud Storage, found none');
  const session = new URL(location);
  // The credentials are sent there.
  if (session.origin !== new URL(api.origin).origin)
    throw new UnexpectedReply(`expected the place of an upload at ${api.origin}, found one at ${session.origin}`);
  return session;
}

/** The number of bytes that have arrived; the resource of the object where all have. */
async function arrivedOf(
  api: GcsApi,
  session: URL,
  size: number,
  { idleTimeout, signal }: Pick<PutOptions, 'idleTimeout' | 'signal'>,
): Promise<number | Readonly<Record<string, unknown>>> {
  const headers = { 'content-length': '0', 'content-range': `bytes */${size}` };
  const answer = await api.send(session, { method: 'PUT', headers, signal });
  if (answer.statusCode !== 308) return await readJson(answer, idleTimeout);
  answer.resume();
  const { range } = answer.headers;
  if (range === undefined) return 0;
  const last = Number(/^bytes=0-(\d+)$/.exec(range)?.[1] ?? NaN);
  if (!(last < size)) throw new GcsError(308, 'badRange', `expected a range within ${size} bytes, found ${range}`);
  return last + 1;
}

async function endSession(api: GcsApi, session: URL): Promise<void> {
  const answer = await api.send(session, { method: 'DELETE', headers: { 'content-length': '0' } });
  answer.resume();
}
