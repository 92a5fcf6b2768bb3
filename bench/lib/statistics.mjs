/** The middle value; of an even number of values the mean of the two in the middle. `NaN` of none. */
export function median(values) {
  return percentile(values, 0.5);
}

/** The value below which the share `rank` (0 to 1) of all lies, interpolated. */
export function percentile(values, rank) {
  if (values.length === 0) return NaN;
  const sorted = values.toSorted((one, other) => one - other);
  const at = (sorted.length - 1) * rank;
  const low = Math.floor(at);
  const high = Math.ceil(at);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

/** One row of a table: the median of every numeric field of the samples, and the range of `field`. */
export function summarise(server, samples, field) {
  const result = { server };
  for (const name of Object.keys(samples[0] ?? {})) {
    const values = samples.map((sample) => sample[name]).filter((value) => typeof value === 'number');
    if (values.length > 0) result[name] = median(values);
  }
  const values = samples.map((sample) => sample[field]);
  return Object.assign(result, { low: Math.min(...values), high: Math.max(...values), runs: samples.length });
}

/** The list beginning at another place each time, so that nobody is always first. */
export function rotated(list, turn) {
  const start = turn % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}
