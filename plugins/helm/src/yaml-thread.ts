import { builtProgram, WorkerLimitError, WorkerPool } from '@entrepot/core/formats';
import { ChartError } from './chart-error.js';
import { answering, yamlAsJson } from './yaml-task.js';

/** Memory of one thread for what it parses, in MiB. */
const HEAP = 1024;
/** YAML that is smaller, in bytes, is parsed faster than a thread is started. */
const SMALL = 32 * 1024;

const threads = new WorkerPool(builtProgram(import.meta.url, 'yaml-worker', answering), {
  most: 2,
  // The memory that one document took is given back.
  keepIdle: 0,
  patience: 120_000,
  limits: { maxOldGenerationSizeMb: HEAP },
});

/**
 * Turns YAML into JSON; an empty document into `{}`.
 * @throws ChartError
 */
export async function parseYamlAside(bytes: Uint8Array): Promise<string> {
  if (bytes.length <= SMALL) return yamlAsJson(bytes);
  try {
    const answer = await threads.run(bytes);
    if ('refused' in answer) throw new ChartError(answer.refused);
    return answer.json;
  } catch (error) {
    if (!(error instanceof WorkerLimitError)) throw error;
    const { exceeded } = error;
    throw new ChartError(`the YAML takes ${exceeded === 'memory' ? `more than ${HEAP} MiB` : 'too long'} to read`);
  }
}
