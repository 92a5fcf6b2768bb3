import { ChartError } from './chart-error.js';
import { IndexParser, UnusualIndex, type IndexSummary } from './index-parser.js';
import { Budget, decodeYaml, parseYaml } from './yaml-text.js';

/**
 * A question to a thread that reads YAML. An index: `open`, `piece`s, `end`; `next` after each while there is `more`. One that is
 * `unusual`: all its `piece`s again.
 */
export type YamlQuestion =
  | { readonly ask: 'json' | 'piece'; readonly bytes: Uint8Array }
  | { readonly ask: 'open'; readonly indexUrl: string }
  | { readonly ask: 'end' | 'next' };

/** The answer. `versions`: JSON of `UpstreamVersion[]`. */
export type YamlAnswer =
  | { readonly json: string }
  | { readonly versions: Uint8Array; readonly more: boolean; readonly summary: IndexSummary }
  | { readonly unusual: true };

/** Nodes and characters of a document that is turned into JSON. */
const LARGEST_JSON = 16 * 1024 * 1024;
/** Characters of one answer, about. */
const ANSWER = 512 * 1024;

/** Answers the questions of one task, one after the other. `refused`: the YAML is at fault. */
export function answering(): (question: YamlQuestion) => YamlAnswer | { readonly refused: string } {
  let parser = new IndexParser('');
  let rest: Iterator<string, unknown> = [].values();

  function answer(question: YamlQuestion): YamlAnswer {
    if (question.ask === 'json') return { json: yamlAsJson(question.bytes) };
    if (question.ask === 'open') parser = new IndexParser(question.indexUrl);
    if (question.ask === 'piece') rest = parser.push(question.bytes).values();
    if (question.ask === 'end') rest = parser.end();
    const lines: string[] = [];
    const answered = (more: boolean): YamlAnswer => {
      return { versions: Buffer.from(`[${lines.join(',')}]`), more, summary: parser.summary };
    };
    for (let length = 0; length < ANSWER;) {
      const { done, value } = rest.next();
      if (done === true) return answered(false);
      lines.push(value);
      length += value.length;
    }
    return answered(true);
  }

  return (question) => {
    try {
      return answer(question);
    } catch (error) {
      if (error instanceof ChartError) return { refused: error.message };
      if (!(error instanceof UnusualIndex)) throw error;
      parser.startOver();
      return { unusual: true };
    }
  };
}

/** Turns YAML into JSON. @throws ChartError */
export function yamlAsJson(bytes: Uint8Array): string {
  return JSON.stringify(new Budget(LARGEST_JSON).plain(parseYaml(decodeYaml(bytes), 'last') ?? {}));
}
