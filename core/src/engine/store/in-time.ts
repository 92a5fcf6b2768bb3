/** Stands for a result that is not here in time. */
export const LATE = Symbol('late');

/** Waits for `work`, `milliseconds` at the most, else gives `LATE`. Late work goes on; the caller handles its failure. */
export async function inTime<Result>(work: Promise<Result>, milliseconds: number): Promise<Result | typeof LATE> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(() => resolve(LATE), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
