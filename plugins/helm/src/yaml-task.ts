import { ChartError } from './chart-error.js';
import { IndexParser, UnusualIndex, type IndexSummary } from './index-parser.js';
import { Budget, decodeYaml, parseYaml } from './yaml-text.js';

/**
 * A question to a thread that reads YAML. An index: `open`, `piece`s, `end`; `next` after each while there is `more`. One that is
 * `unusual`: `again`, and all its `piece`s.
 */
export type YamlQuestion =
  | { readonly ask: 'json'; readonly bytes: Uint8Array }
  | { readonly ask: 'open'; readonly indexUrl: string }
  | { readonly ask: 'piece'; readonly bytes: Uint8Array }
  | { readonly ask: 'end' | 'next' | 'again' };

/** The answer. `refused`: the YAML is at fault. */
export type YamlAnswer =
  | { readonly json: string }
  | { readonly lines: readonly Uint8Array[]; readonly more: boolean; readonly summary: IndexSummary }
  | { readonly unusual: true }
  | { readonly refused: string }
  | { readonly failed: string };

/** Nodes and characters of a document that is turned into JSON. */
const LARGEST_JSON = 16 * 1024 * 1024;
/** Bytes of one answer, about. */
const ANSWER = 512 * 1024;

/** Answers the questions of one task, one after the other. */
export function answering(): (question: YamlQuestion) => YamlAnswer {
  let parser: IndexParser | undefined;
  let rest: Iterator<Buffer, unknown> = [].values();

  function answer(question: YamlQuestion): YamlAnswer {
    if (question.ask === 'json') return { json: yamlAsJson(question.bytes) };
    if (question.ask === 'open') parser = new IndexParser(question.indexUrl);
    if (parser === undefined) throw new Error('no index is open');
    if (question.ask === 'again') parser.startOver();
    if (question.ask === 'piece') rest = parser.push(question.bytes).values();
    if (question.ask === 'end') rest = parser.end();
    const lines: Uint8Array[] = [];
    for (let size = 0; size < ANSWER;) {
      const { done, value } = rest.next();
      if (done === true) return { lines, more: false, summary: parser.summary };
      lines.push(value);
      size += value.length;
    }
    return { lines, more: true, summary: parser.summary };
  }

  return (question) => {
    try {
      return answer(question);
    } catch (error) {
      if (error instanceof UnusualIndex) return { unusual: true };
      const { message } = error as Error;
      return error instanceof ChartError ? { refused: message } : { failed: message };
    }
  };
}

/** Turns YAML into JSON. @throws ChartError */
export function yamlAsJson(bytes: Uint8Array): string {
  return JSON.stringify(new Budget(LARGEST_JSON).plain(parseYaml(decodeYaml(bytes), 'last') ?? {}));
}
