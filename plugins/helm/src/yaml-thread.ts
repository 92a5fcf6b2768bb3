import { builtProgram, WorkerLimitError, WorkerPool, type HeldWorker } from '@entrepot/core/formats';
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

const threads = new WorkerPool<YamlQuestion, YamlAnswer>(builtProgram(import.meta.url, 'yaml-worker', answering), {
  most: THREADS,
  // What one index has taken is given back.
  keepIdle: 0,
  patience: PATIENCE,
  limits: { maxOldGenerationSizeMb: HEAP },
});

/** A thread that parses YAML, so that the server answers others meanwhile. Ended by `close`; one question at a time. */
export class YamlThread {
  readonly #held: HeldWorker<YamlQuestion, YamlAnswer>;

  private constructor(held: HeldWorker<YamlQuestion, YamlAnswer>) {
    this.#held = held;
  }

  /** Starts one, after others when too many run. */
  static async start(): Promise<YamlThread> {
    return new YamlThread(await threads.hold());
  }

  /** @throws ChartError when the YAML is at fault */
  async ask(question: YamlQuestion): Promise<Exclude<YamlAnswer, { refused: string } | { failed: string }>> {
    const answer = await this.#held.ask(question).catch(throwFault);
    if ('refused' in answer) throw new ChartError(answer.refused);
    if ('failed' in answer) throw new Error(`reading YAML failed: ${answer.failed}`);
    return answer;
  }

  async close(): Promise<void> {
    await this.#held.release();
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

function throwFault(error: unknown): never {
  if (!(error instanceof WorkerLimitError)) throw error;
  throw new ChartError(
    error.exceeded === 'memory' ? `the YAML takes more than ${HEAP} MiB to read` : 'the YAML takes too long to read',
  );
}
