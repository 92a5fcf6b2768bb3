// Runs in a server that is measured (`--import`), and reports to its parent: memory after a collection, and stalls of the event loop.

/** Milliseconds between two looks. */
const STEP = 1;

/** Microseconds that this thread was running; `undefined` on a Node that cannot tell. */
const running = () => {
  const { threadCpuUsage } = /** @type {{ threadCpuUsage?: () => { user: number, system: number } }} */ (process);
  const used = threadCpuUsage?.call(process);
  return used && used.user + used.system;
};

let last = { at: performance.now(), ran: running() };
let [stall, busy] = [0, 0];
setInterval(() => {
  const [at, ran] = [performance.now(), running()];
  stall = Math.max(stall, at - last.at - STEP);
  if (ran !== undefined && last.ran !== undefined) busy = Math.max(busy, (ran - last.ran) / 1000);
  last = { at, ran };
}, STEP).unref();

process.on('message', () => {
  const found = { stall, busy: last.ran === undefined ? undefined : busy };
  for (let at = 0; at < 3; at += 1) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  process.send?.({ bytes: heapUsed + external, ...found });
  // The collection is not what is measured.
  setTimeout(() => {
    [stall, busy] = [0, 0];
  }, 3 * STEP);
});
process.channel?.unref();
