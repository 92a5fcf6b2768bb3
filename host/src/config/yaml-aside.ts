import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { parseYamlValue } from './read-yaml.js';

/** Shorter texts, in characters, are parsed faster than a thread is asked. */
const SHORT = 2048;
/** How long one text may take, in milliseconds. */
const PATIENCE = 10_000;

type Read = ReturnType<typeof parseYamlValue>;

let thread: Worker | undefined;
let last: Promise<unknown> = Promise.resolve();

/**
 * As `parseYamlValue`, for texts that somebody sends: 64 KiB of `]` take the parser a second, in which nobody else is answered.
 * One thread does it for all, one text after the other.
 */
export async function parseYamlAside(text: string): Promise<Read> {
  // A worker runs what was built; on the sources alone there is none.
  if (text.length <= SHORT || import.meta.url.endsWith('.ts')) return parseYamlValue(text);
  const reading = last.then(() => read(text));
  last = reading;
  return await reading;
}

async function read(text: string): Promise<Read> {
  thread ??= new Worker(new URL('./yaml-worker.js', import.meta.url));
  const worker = thread;
  worker.unref();
  try {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    worker.postMessage(text);
    const [found] = await once(worker, 'message', { signal: AbortSignal.timeout(PATIENCE) });
    return found as Read;
  } catch {
    thread = undefined;
    await worker.terminate();
    return { fault: 'not valid YAML: it takes too long to read' };
  }
}
