import type { Content } from '@entrepot/core';
import { malformed, type NewRow } from '@entrepot/core/formats';
import { ChartError } from './chart-error.js';
import { IndexParser, UnusualIndex } from './index-parser.js';

/** The largest index that is read, in bytes. */
export const LARGEST_INDEX = 256 * 1024 * 1024;
/** The key of the row that has the `IndexSummary`, behind those of the charts. */
export const SUMMARY = '';

/** Parameters of the rows of an index. */
export interface IndexParameters {
  /** Its own URL; relative URLs are resolved against it. */
  readonly indexUrl: string;
}

/**
 * Reads the index of an upstream repository, YAML or JSON, as rows: the `UpstreamVersion`s of a chart follow each other, newest first.
 * @throws EntrepotError `upstream-unavailable` for what is no index, also when a part of it was given: then nothing of it counts
 */
export async function* readIndexRows(
  { size, stream }: Pick<Content, 'size' | 'stream'>,
  { indexUrl }: IndexParameters,
): AsyncGenerator<NewRow> {
  const parser = new IndexParser(indexUrl);
  async function* read(): AsyncGenerator<NewRow> {
    for await (const piece of stream()) yield* parser.push(piece);
    yield* parser.end();
  }
  try {
    if (size > LARGEST_INDEX) throw new ChartError(`expected an index of ${LARGEST_INDEX} bytes at most`);
    try {
      yield* read();
    } catch (error) {
      if (!(error instanceof UnusualIndex)) throw error;
      parser.startOver();
      yield* read();
    }
    yield [SUMMARY, JSON.stringify(parser.summary)];
  } catch (error) {
    throw error instanceof ChartError ? malformed('index.yaml', error.message, error) : error;
  }
}
