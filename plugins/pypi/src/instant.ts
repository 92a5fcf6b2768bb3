/** Milliseconds since the epoch; `undefined` for no time, or none that can be read. */
export function instantOf(time: string | undefined): number | undefined {
  if (time === undefined) return undefined;
  // PEP 700 asks for UTC; a time that does not say its zone is not ours.
  const at = Date.parse(/(?:Z|[+-]\d{2}:?\d{2})$/i.test(time) ? time : `${time}Z`);
  return Number.isNaN(at) ? undefined : at;
}
