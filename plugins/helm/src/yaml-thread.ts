import { Worker } from 'node:worker_threads';
import { ChartError } from './chart-error.js';
import { answering, yamlAsJson, type YamlAnswer, type YamlQuestion } from './yaml-task.js';

/** Threads at a time: each may hold `HEAP`. */
const THREADS = 2;
/** Memory of one thread for what it parses, in MiB. */
const HEAP = 1024;
/** How long one answer may take, in milliseconds. */
const PATIENCE = 120_000;
/** YAML that is smaller, in bytes, is parsed faster than a thread is started. */
const SMALL = 32 * 1024;

const waiting: (() => void)[] = [];
let running = 0;

/** A thread that parses YAML, so that the server answers others meanwhile. Ended by `close`; one question at a time. */
export class YamlThread {
  readonly #ask: (question: YamlQuestion) => Promise<YamlAnswer>;
  readonly #worker: Worker | undefined;

  private constructor(worker: Worker | undefined) {
    this.#worker = worker;
    const answer = answering();
    this.#ask = worker === undefined ? async (question) => answer(question) : (question) => asked(worker, question);
  }

  /** Starts one, after others when too many run. */
  static async start(): Promise<YamlThread> {
    if (running >= THREADS) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    // A worker runs what was built; on the sources alone there is none.
    if (import.meta.url.endsWith('.ts')) return new YamlThread(undefined);
    const limits = { resourceLimits: { maxOldGenerationSizeMb: HEAP } };
    return new YamlThread(new Worker(new URL('./yaml-worker.js', import.meta.url), limits));
  }

  /** @throws ChartError when the YAML is at fault */
  async ask(question: YamlQuestion): Promise<Exclude<YamlAnswer, { refused: string } | { failed: string }>> {
    const answer = await this.#ask(question);
    if ('refused' in answer) throw new ChartError(answer.refused);
    if ('failed' in answer) throw new Error(`reading YAML failed: ${answer.failed}`);
    return answer;
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

/**
 * YAML as JSON; `{}` for an empty document.
 * @throws ChartError
 */
export async function parseYamlAside(bytes: Uint8Array): Promise<string> {
  if (bytes.length <= SMALL) return yamlAsJson(bytes);
  const thread = await YamlThread.start();
  try {
    const answer = await thread.ask({ ask: 'json', bytes });
    return 'json' in answer ? answer.json : '{}';
  } finally {
    await thread.close();
  }
}

async function asked(worker: Worker, question: YamlQuestion): Promise<YamlAnswer> {
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(() => reject(new ChartError('the YAML takes too long to read'))), PATIENCE);
    function settle(how: () => void): void {
      clearTimeout(timer);
      worker.off('message', onMessage).off('error', onError);
      how();
    }
    function onMessage(answer: YamlAnswer): void {
      settle(() => resolve(answer));
    }
    function onError(error: NodeJS.ErrnoException): void {
      const full = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      settle(() => reject(full ? new ChartError(`the YAML takes more than ${HEAP} MiB to read`) : error));
    }
    worker.once('message', onMessage).once('error', onError);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    worker.postMessage(question);
  });
}
