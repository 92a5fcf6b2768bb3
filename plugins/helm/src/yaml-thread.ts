import { builtProgram, WorkerLimitError, WorkerPool } from '@entrepot/core/formats';
import { ChartError } from './chart-error.js';
import { answering, yamlAsJson, type YamlAnswer, type YamlQuestion } from './yaml-task.js';

/** Memory of one thread for what it parses, in MiB. */
const HEAP = 1024;
/** YAML that is smaller, in bytes, is parsed faster than a thread is started. */
const SMALL = 32 * 1024;

const threads = new WorkerPool<YamlQuestion, YamlAnswer>(builtProgram(import.meta.url, 'yaml-worker', answering), {
  most: 2,
  // The memory that one index took is given back.
  keepIdle: 0,
  patience: 120_000,
  limits: { maxOldGenerationSizeMb: HEAP },
});

/** Asks one thread, one question after the other. @throws ChartError when the YAML is at fault */
export type AskThread = (
  question: YamlQuestion,
) => Promise<Exclude<YamlAnswer, { refused: string } | { failed: string }>>;

/** Yields what `work` yields, which has a thread of its own to parse YAML while the server answers others. */
export async function* withThread<Piece, Result>(
  work: (ask: AskThread) => AsyncGenerator<Piece, Result>,
): AsyncGenerator<Piece, Result> {
  const held = await threads.hold();
  try {
    return yield* work(async (question) => accepted(await held.ask(question).catch(throwFault)));
  } finally {
    await held.release();
  }
}

/**
 * Turns YAML into JSON; an empty document into `{}`.
 * @throws ChartError
 */
export async function parseYamlAside(bytes: Uint8Array): Promise<string> {
  if (bytes.length <= SMALL) return yamlAsJson(bytes);
  const answer = accepted(await threads.run({ ask: 'json', bytes }).catch(throwFault));
  return 'json' in answer ? answer.json : '{}';
}

function accepted(answer: YamlAnswer): Exclude<YamlAnswer, { refused: string } | { failed: string }> {
  if ('refused' in answer) throw new ChartError(answer.refused);
  if ('failed' in answer) throw new Error(`reading YAML failed: ${answer.failed}`);
  return answer;
}

function throwFault(error: unknown): never {
  if (!(error instanceof WorkerLimitError)) throw error;
  throw new ChartError(
    error.exceeded === 'memory' ? `the YAML takes more than ${HEAP} MiB to read` : 'the YAML takes too long to read',
  );
}
