/** Stands for a result that is not here in time. */
export const LATE = Symbol('late');

/** What `work` brings within `milliseconds`, else `LATE`. Work that is late goes on; the caller takes care of its failure. */
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
