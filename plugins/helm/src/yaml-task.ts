import { ChartError } from './chart-error.js';
import { Budget, decodeYaml, parseYaml } from './yaml-text.js';

/** The answer to bytes of YAML. `refused`: they are at fault. */
export type YamlAnswer = { readonly json: string } | { readonly refused: string };

/** Nodes and characters of a document that is turned into JSON. */
const LARGEST_JSON = 16 * 1024 * 1024;

/** Answers the questions of a thread that turns YAML into JSON. */
export function answering(): (bytes: Uint8Array) => YamlAnswer {
  return (bytes) => {
    try {
      return { json: yamlAsJson(bytes) };
    } catch (error) {
      if (error instanceof ChartError) return { refused: error.message };
      throw error;
    }
  };
}

/** Turns YAML into JSON. @throws ChartError */
export function yamlAsJson(bytes: Uint8Array): string {
  return JSON.stringify(new Budget(LARGEST_JSON).plain(parseYaml(decodeYaml(bytes), 'last') ?? {}));
}
