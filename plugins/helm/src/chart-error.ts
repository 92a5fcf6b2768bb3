/** A chart, a provenance or an index that is not one: says what was expected and what was found. */
export class ChartError extends Error {}

/** Text from outside as messages show it. */
export function printed(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
