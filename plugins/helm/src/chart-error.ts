/** A chart, a provenance or an index that is not one: says what was expected and what was found. */
export class ChartError extends Error {}
