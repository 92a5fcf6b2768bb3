/** Many at once; a failed one counts (`status` 0), it does not end the others. */
export function crowd(count, one) {
  return Promise.all(
    Array.from({ length: count }, (_, index) =>
      one(index).catch((error) => ({ status: 0, error, body: Buffer.alloc(0) })),
    ),
  );
}

/** `one` for every number below `count`, at most `limit` at a time, in order. */
export async function inTurn(count, limit, one) {
  const results = [];
  let next = 0;
  async function worker() {
    while (next < count) {
      const index = next++;
      results[index] = await one(index).catch((error) => ({ status: 0, error, body: Buffer.alloc(0) }));
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, count) }, worker));
  return results;
}
