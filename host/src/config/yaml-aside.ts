import { builtProgram, WorkerLimitError, WorkerPool } from '@entrepot/core/formats';
import { parseYamlValue } from './read-yaml.js';

/** Shorter texts, in characters, are parsed faster than a thread is asked. */
const SHORT = 2048;
/** The longest time for one text, in milliseconds. */
const PATIENCE = 10_000;

type Read = ReturnType<typeof parseYamlValue>;

const threads = new WorkerPool<string, Read>(
  builtProgram(import.meta.url, 'yaml-worker', () => parseYamlValue),
  {
    most: 1,
    patience: PATIENCE,
  },
);

/**
 * As `parseYamlValue`, for texts of clients: 64 KiB of `]` take the parser a second, which would block the event loop.
 * One thread parses all texts, one after the other.
 */
export async function parseYamlAside(text: string): Promise<Read> {
  if (text.length <= SHORT) return parseYamlValue(text);
  try {
    return await threads.run(text);
  } catch (error) {
    if (!(error instanceof WorkerLimitError)) throw error;
    return { fault: 'not valid YAML: it takes too long to read' };
  }
}
