import { builtProgram, WorkerLimitError, WorkerPool } from '@entrepot/core/formats';
import { ChartError } from './chart-error.js';
import { answering, yamlAsJson, type YamlAnswer, type YamlQuestion } from './yaml-task.js';

/** Memory of one thread for what it parses, in MiB. */
const HEAP = 1024;
/** YAML that is smaller, in bytes, is parsed faster than a thread is started. */
const SMALL = 32 * 1024;

const threads = new WorkerPool(builtProgram(import.meta.url, 'yaml-worker', answering), {
  most: 2,
  // The memory that one index took is given back.
  keepIdle: 0,
  patience: 120_000,
  limits: { maxOldGenerationSizeMb: HEAP },
});

/**
 * Gives `work` a thread of its own to parse YAML while the server answers others. It asks one question after the other.
 * @throws ChartError when the YAML is at fault
 */
export async function withThread<Result>(
  work: (ask: (question: YamlQuestion) => Promise<YamlAnswer>) => Promise<Result>,
): Promise<Result> {
  const held = await threads.hold();
  try {
    return await work((question) => accepted(held.ask(question)));
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
  const answer = await accepted(threads.run({ ask: 'json', bytes }));
  return 'json' in answer ? answer.json : '{}';
}

async function accepted(asked: Promise<YamlAnswer | { readonly refused: string }>): Promise<YamlAnswer> {
  try {
    const answer = await asked;
    if ('refused' in answer) throw new ChartError(answer.refused);
    return answer;
  } catch (error) {
    if (!(error instanceof WorkerLimitError)) throw error;
    const { exceeded } = error;
    throw new ChartError(`the YAML takes ${exceeded === 'memory' ? `more than ${HEAP} MiB` : 'too long'} to read`);
  }
}
